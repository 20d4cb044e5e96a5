"""When a delivery is tried again: for more than a day, however the dice fall, and no later than that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.settings import Settings
from shared.webhooks.outcome import Judgement
from shared.webhooks.schedule import next_try_s, target_rests_s

REST_S = 60.0
DELAYS = Settings.model_fields["webhook_schedule_s"].default
FAILING = st.sampled_from([Judgement.FAILED, Judgement.THROTTLED])
CHANCES = st.floats(0, 1)
ASKED = st.none() | st.floats(0, 1e9)


@given(st.lists(st.tuples(FAILING, CHANCES, ASKED), min_size=8, max_size=8))
def test_the_default_schedule_has_eight_tries_in_28_hours_or_more(
    fates: list[tuple[Judgement, float, float | None]],
) -> None:
    waits = [
        next_try_s(
            judgement, tries=tries, delays=DELAYS, rest_s=REST_S, retry_after_s=asked, chance=chance
        )
        for tries, (judgement, chance, asked) in enumerate(fates, start=1)
    ]

    assert waits[7:] == [None]
    known = [wait for wait in waits[:7] if wait is not None]
    assert len(known) == 7
    assert sum(known) >= 28 * 3600
    # A receiver that asks for ages cannot park us either.
    assert sum(known) <= 2 * (sum(DELAYS) * 1.1 + 7 * REST_S)


@given(FAILING, st.integers(1, 7), CHANCES, st.floats(0, 1e9))
def test_what_the_receiver_asks_for_counts_from_once_to_twice_the_wait(
    judgement: Judgement, tries: int, chance: float, asked_s: float
) -> None:
    def wait_s(retry_after_s: float | None) -> float:
        wait = next_try_s(
            judgement,
            tries=tries,
            delays=DELAYS,
            rest_s=REST_S,
            retry_after_s=retry_after_s,
            chance=chance,
        )
        assert wait is not None
        return wait

    own = wait_s(None)
    assert wait_s(asked_s) == pytest.approx(min(max(asked_s, own), 2 * own))


@given(st.integers(1, 7), CHANCES)
def test_the_wait_is_spread_by_a_tenth(tries: int, chance: float) -> None:
    wait = next_try_s(
        Judgement.FAILED,
        tries=tries,
        delays=DELAYS,
        rest_s=REST_S,
        retry_after_s=None,
        chance=chance,
    )

    assert wait is not None
    assert 0.9 * DELAYS[tries - 1] <= wait + 1e-6
    assert wait - 1e-6 <= 1.1 * DELAYS[tries - 1]


@pytest.mark.parametrize(("asked_s", "expected"), [(None, 60), (5, 60), (90, 90), (3600, 120)])
def test_a_target_that_throttles_rests(asked_s: float | None, expected: float) -> None:
    assert target_rests_s(Judgement.THROTTLED, rest_s=60, retry_after_s=asked_s) == expected
    assert target_rests_s(Judgement.FAILED, rest_s=60, retry_after_s=asked_s) == 0
    assert target_rests_s(Judgement.DELIVERED, rest_s=60, retry_after_s=asked_s) == 0
    wait = next_try_s(
        Judgement.THROTTLED,
        tries=1,
        delays=DELAYS,
        rest_s=REST_S,
        retry_after_s=asked_s,
        chance=0.5,
    )
    assert wait == expected


@pytest.mark.parametrize("judgement", [Judgement.GONE, Judgement.DELIVERED])
def test_nothing_follows_an_end(judgement: Judgement) -> None:
    assert (
        next_try_s(judgement, tries=1, delays=DELAYS, rest_s=REST_S, retry_after_s=9, chance=0.5)
        is None
    )
