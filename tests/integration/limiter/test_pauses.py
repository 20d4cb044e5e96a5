"""A provider's word closes the whole lane, and one probe opens it again."""

import asyncio

import pytest

from shared.inference.response import LimitFeedback
from shared.limiter.buckets import Bucket, Cost, Lane, Outcome
from shared.limiter.limiter import Reservation
from tests.integration.limiter.workbench import ONE, Bench


async def _over(bench: Bench, seconds: float = 10) -> Lane:
    """Pause a lane and wait until its pause is over."""
    lane = await bench.lane(calls=50)
    await bench.limiter.pause(lane, seconds=seconds)
    bench.clock.move(seconds * 1.1)
    return lane


async def test_pause_holds_everyone(bench: Bench) -> None:
    """Nobody is admitted before the provider's time, and at most a tenth later one is."""
    lane = await bench.lane(calls=50)
    await bench.limiter.pause(lane, seconds=10)

    refused = await bench.denied(lane, "a")
    bench.clock.move(9.999)
    early = await bench.denied(lane, "a")
    bench.clock.move(1.001)

    await bench.admitted(lane, "a")
    assert refused == early
    assert refused.bucket == "pause"
    assert bench.clock.after(-1) <= refused.retry_at <= bench.clock.after(0)


@pytest.mark.parametrize(("asked", "shortest", "longest"), [(0, 0.1, 0.11), (9e9, 300, 330)])
async def test_pause_is_clamped(
    bench: Bench, asked: float, shortest: float, longest: float
) -> None:
    """A provider's nonsense neither opens the lane at once nor closes it for good."""
    lane = await bench.lane()
    await bench.limiter.pause(lane, seconds=asked)

    refused = await bench.denied(lane, "a")

    assert bench.clock.after(shortest) <= refused.retry_at <= bench.clock.after(longest) + 1


async def test_shorter_pause_does_not_shorten(bench: Bench) -> None:
    """Late answers to old calls do not open what a later one closed."""
    lane = await bench.lane()
    await bench.limiter.pause(lane, seconds=60)
    before = await bench.denied(lane, "a")

    await bench.limiter.pause(lane, seconds=1)

    assert await bench.denied(lane, "a") == before


async def test_exactly_one_probe(bench: Bench) -> None:
    """Of a hundred that wait for the end of a pause one goes; its success lets the others go."""
    lane = await _over(bench)

    first = await asyncio.gather(*(bench.acquire(lane, f"op{n}") for n in range(100)))
    probes = [answer for answer in first if isinstance(answer, Reservation)]
    bench.clock.move(1)
    await bench.limiter.settle(probes[0], ONE, outcome=Outcome.OK)
    second = await asyncio.gather(*(bench.acquire(lane, f"op{n}") for n in range(100)))

    assert len(probes) == 1
    assert len([answer for answer in second if isinstance(answer, Reservation)]) == 50 + 1


async def test_failed_probe_opens_nothing(bench: Bench) -> None:
    """Overloaded again: paused again by the caller, with one more probe, not a storm."""
    lane = await _over(bench)
    probe = await bench.admitted(lane, "probe")

    await bench.limiter.settle(probe, None, outcome=Outcome.OVERLOADED)
    await bench.limiter.pause(lane, seconds=10)
    assert (await bench.denied(lane, "a")).bucket == "pause"
    bench.clock.move(11)

    await bench.admitted(lane, "a")
    assert (await bench.denied(lane, "b")).bucket == "pause"


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.OVERLOADED])
async def test_next_call_probes_when_the_first_says_nothing(bench: Bench, outcome: Outcome) -> None:
    """A probe that ends without success makes room for the next one, still one at a time."""
    lane = await _over(bench)
    await bench.limiter.settle(await bench.admitted(lane, "a"), None, outcome=outcome)

    await bench.admitted(lane, "b")
    await bench.denied(lane, "c")


async def test_released_probe_opens_nothing(bench: Bench) -> None:
    """A probe that never called the provider proved nothing."""
    lane = await _over(bench)
    await bench.limiter.release(await bench.admitted(lane, "a"))

    await bench.admitted(lane, "b")
    await bench.denied(lane, "c")


async def test_dead_probe_is_replaced(bench: Bench) -> None:
    """The worker of the probe died: when its lease ends another goes; its late word is ignored."""
    lane = await _over(bench)
    dead = await bench.admitted(lane, "dead", ttl_s=5)
    bench.clock.move(4.9)
    await bench.denied(lane, "a")
    bench.clock.move(0.1)

    await bench.admitted(lane, "a")
    await bench.limiter.settle(dead, ONE, outcome=Outcome.OK)
    await bench.denied(lane, "b")


async def test_probe_does_not_end_a_later_pause(bench: Bench) -> None:
    """While the probe was out an old call was refused: the new pause counts."""
    lane = await _over(bench)
    probe = await bench.admitted(lane, "probe")
    await bench.limiter.pause(lane, seconds=30)

    await bench.limiter.settle(probe, ONE, outcome=Outcome.OK)

    assert (await bench.denied(lane, "a")).retry_at >= bench.clock.after(30)


async def test_paused_lane_has_headroom_for_its_probe(bench: Bench) -> None:
    """Nothing within the pause, one when it ends, nothing while the probe is out."""
    lane = await bench.lane(calls=50)
    await bench.limiter.pause(lane, seconds=10)

    within = await bench.limiter.headroom(lane, horizon_s=5)
    at_end = await bench.limiter.headroom(lane, horizon_s=12)
    bench.clock.move(12)
    await bench.admitted(lane, "probe")

    assert (within, at_end) == (0, 1)
    assert await bench.limiter.headroom(lane, horizon_s=12) == 0


async def test_other_lanes_go_on(bench: Bench) -> None:
    """A pause is one credential's, not everyone's."""
    lane = await bench.lane()
    other = Lane(f"{bench.key}:other", (), 1)
    await bench.limiter.pause(lane, seconds=10)

    await bench.admitted(other, "a")


async def test_feedback_lowers(bench: Bench) -> None:
    """The provider counts less than we do: its number is ours now."""
    lane = await bench.lane(Bucket("requests", 100, 1.0), Bucket("tokens", 1_000, 10.0))

    await bench.limiter.observe(lane, LimitFeedback(remaining_requests=3, remaining_tokens=500))

    assert (await bench.level("requests"), await bench.level("tokens")) == (3, 500)


async def test_feedback_never_raises(bench: Bench) -> None:
    """The provider counts more than we do: our limit stands."""
    lane = await bench.lane(Bucket("requests", 100, 1.0), Bucket("tokens", 1_000, 10.0))
    await bench.admitted(lane, "a", Cost(60, 500, 400))
    before = await bench.everything()

    await bench.limiter.observe(lane, LimitFeedback(remaining_requests=41, remaining_tokens=999))
    await bench.limiter.observe(lane, LimitFeedback(remaining_requests=9_999))
    await bench.limiter.observe(lane, LimitFeedback())

    assert await bench.everything() == before


async def test_exhausted_provider_stops_the_lane(bench: Bench) -> None:
    """Remaining 0 while we believe in half a bucket: we stop until the provider refills one."""
    lane = await bench.lane(Bucket("requests", 100, 10.0))

    await bench.limiter.observe(
        lane, LimitFeedback(remaining_requests=0, reset_requests_s=200, limit_requests=100)
    )

    assert (await bench.denied(lane, "a")).retry_at == bench.clock.after(2)
