"""Clocks are compared with what the round trip explains taken off."""

import pytest

from api.cli.finding import Level, skew

BEFORE = 1_800_000_000_000


@pytest.mark.parametrize(
    ("ahead_ms", "level"),
    [
        (0, Level.OK),
        (40, Level.OK),
        (1_000, Level.OK),
        (1_500, Level.WARN),
        (-1_500, Level.WARN),
        (5_000, Level.WARN),
        (5_001, Level.FAIL),
        (-5_001, Level.FAIL),
        (3_600_000, Level.FAIL),
    ],
)
def test_skew_is_judged_by_its_size(ahead_ms: int, level: Level) -> None:
    found = skew("redis clock", theirs_ms=BEFORE + ahead_ms, before_ms=BEFORE, after_ms=BEFORE)

    assert found.level is level
    assert found.part == "redis clock"


@pytest.mark.parametrize("theirs_ms", [BEFORE, BEFORE + 6_000, BEFORE + 12_000])
def test_a_slow_answer_is_no_skew(theirs_ms: int) -> None:
    found = skew("clock", theirs_ms=theirs_ms, before_ms=BEFORE, after_ms=BEFORE + 12_000)

    assert found.level is Level.OK


def test_the_words_say_which_way() -> None:
    ahead = skew("clock", theirs_ms=BEFORE + 9_000, before_ms=BEFORE, after_ms=BEFORE)
    behind = skew("clock", theirs_ms=BEFORE - 9_000, before_ms=BEFORE, after_ms=BEFORE)

    assert "9.0 s ahead of" in ahead.words
    assert "9.0 s behind" in behind.words
