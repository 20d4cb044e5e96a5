"""The part of the bench that tells how storms at one upstream are weathered."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bench import storms
from bench.report import Row, Section
from bench.storms import (
    CALM,
    DOWN,
    HANGING,
    LIMITED,
    SLOW,
    SPORADIC,
    Around,
    Beside,
    Down,
    Drained,
)
from bench.upstreams import Upstream

MOST_P95 = 1.1
LEAST_PACE = 0.95
BREAKER_WINDOW_S = 30


def measure_storms(upstream: Upstream) -> Section:
    """Calm and storms in turn, each against a fresh service."""
    beside = [
        storms.beside(upstream, storm)
        for storm in (CALM, SLOW, HANGING, SPORADIC, LIMITED, DOWN, CALM)
    ]
    around = {
        strategy: storms.around(upstream, strategy, (CALM, SLOW))
        for strategy in ("latency", "least_busy")
    }
    down = [storms.down(upstream, storm) for storm in (CALM, DOWN, HANGING)]
    drained = [storms.drained(upstream, storm) for storm in (CALM, SPORADIC)]
    rows = [
        *_beside_rows(beside),
        *_around_rows(around["latency"], target=True),
        *_around_rows(around["least_busy"], target=False),
        *_down_rows(down),
        *_drained_rows(drained),
    ]
    every: list[Beside | Around | Down | Drained] = [*beside, *down, *drained]
    every += [each for some in around.values() for each in some]
    title = (
        f"storms: upstreams {storms.DELAY_MS} ms, {storms.AT_ONCE} jobs at a time,"
        f" {storms.PILE} jobs of the ailing model waiting"
    )
    return Section(title, rows, [asdict(each) for each in every])


def _beside_rows(found: Sequence[Beside]) -> Iterator[Row]:
    calms = [each for each in found if each.storm == CALM.name]
    p95 = max(each.p95_ms for each in calms)
    pace = min(each.per_second for each in calms)
    for each in found:
        figure = f"p95 {each.p95_ms:.0f} ms, {each.per_second:.1f} jobs/s"
        note = f"there: {each.calls} calls, {each.refused} without an answer"
        if each.storm == CALM.name:
            yield Row("beside an upstream that is well", figure, note=note)
            continue
        target = f"p95 ≤ {MOST_P95} ×, pace ≥ {LEAST_PACE:.0%} of the calm"
        met = each.p95_ms <= MOST_P95 * p95 and each.per_second >= LEAST_PACE * pace
        yield Row(f"beside one: {each.storm}", figure, target, met, note)


def _around_rows(found: Sequence[Around], *, target: bool) -> Iterator[Row]:
    calm, *storm = found
    yield Row(f"by {calm.strategy}, both well", f"{calm.per_second:.1f} jobs/s")
    for each in storm:
        kept = each.per_second / calm.per_second
        yield Row(
            f"by {each.strategy}, one {each.storm}",
            f"{kept:.0%} of the calm, p95 {each.p95_ms:.0f} ms",
            f"≥ {LEAST_PACE:.0%}" if target else "",
            kept >= LEAST_PACE if target else None,
            f"{each.ailing:.0%} of the calls went to it",
        )


def _down_rows(found: Sequence[Down]) -> Iterator[Row]:
    calm, *storms_ = found
    yield Row("primary well", f"first answer after {calm.first_ms:.0f} ms")
    for each in storms_:
        later_s = (each.first_ms - calm.first_ms) / 1000
        met = later_s <= BREAKER_WINDOW_S and each.completed == each.jobs
        yield Row(
            f"primary down: {each.storm}",
            f"first answer {later_s:.2f} s later, {each.completed} of {each.jobs} answered",
            f"≤ {BREAKER_WINDOW_S} s, all answered",
            met,
            f"{each.calls_to_primary} calls to it; {each.jobs / each.seconds:.0f} jobs/s",
        )


def _drained_rows(found: Sequence[Drained]) -> Iterator[Row]:
    calm = found[0]
    for each in found:
        pace = storms.MOST_OF_IT * each.jobs / each.most_s
        note = f"{calm.most_s / each.most_s:.0%} of the calm; all after {each.all_s:.0f} s, {each.calls} calls"
        what = f"a pile of {each.jobs:,} for one upstream: {each.storm}"
        yield Row(what, f"{pace:.0f} jobs/s until {storms.MOST_OF_IT:.0%} were done", note=note)
