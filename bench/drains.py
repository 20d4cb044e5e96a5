"""The parts of the bench that tell how a batch is worked off: beside its peers, and by several workers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from bench import drain, drain_peers, jobs, litellm
from bench.drain import Drained, Size
from bench.jobs import Contender
from bench.report import Row, Section
from bench.upstreams import Upstream

MOST_CPU_MS = 1.0
LEAST_OF_SCRIPT = 0.25
LEAST_PACE = 0.95
LEAST_KEPT = 0.9
"""So much of the pace of few lines is left with ten times as many."""
FEW = 5000
SLOW_LINES = 10_000
SLOW_MS = 1000
NARROW, WIDE = 1000, 2000
WORKERS = (2, 4)


def measure_drain(upstream: Upstream, lines: int) -> Section:
    """Drain a small and a large batch, and what one would write instead; then all at 1 s a call."""
    few, many = (drain.measure(upstream, Size(some)) for some in (FEW, lines))
    quick = [*_scripts(upstream, 0), *drain_peers.measure(upstream, delay_ms=0, most_jobs=FEW)]
    slow = [
        drain.measure(upstream, Size(SLOW_LINES, SLOW_MS, at_once)) for at_once in (NARROW, WIDE)
    ]
    others = [
        *_scripts(upstream, SLOW_MS),
        *drain_peers.measure(upstream, delay_ms=SLOW_MS, most_jobs=FEW),
    ]
    rows = [
        *_quick_rows(few, many, quick),
        *(_peer_row(each) for each in quick),
        *(row for each in slow for row in _slow_rows(each)),
        *(_peer_row(each, suffix=", 1 s") for each in others),
        *_missing(),
    ]
    raw = [asdict(each) for each in (few, many, *slow)]
    raw += [asdict(each) for each in (*quick, *others)]
    return Section("drain: lines of a batch, one worker, SQLite", rows, raw)


def measure_workers(upstream: Upstream, lines: int) -> Section:
    """Drain the same batch with several workers on PostgreSQL."""
    found = [drain.on_postgres(upstream, Size(lines, workers=count)) for count in WORKERS]
    rows = [
        Row(f"{each.size.workers} workers", _pace_of(each), note=_parts(each.cpu_ms))
        for each in found
    ]
    title = f"workers: {lines} lines of a batch, upstream 0 ms, PostgreSQL"
    return Section(title, rows, [asdict(each) for each in found])


def _scripts(upstream: Upstream, delay_ms: int) -> Iterator[Contender]:
    for client in ("httpx", "aiohttp"):
        yield jobs.script(upstream, client, jobs=FEW, at_once=NARROW, delay_ms=delay_ms)


def _quick_rows(few: Drained, many: Drained, others: Sequence[Contender]) -> Iterator[Row]:
    for each in (few, many):
        cpu = sum(each.cpu_ms.values())
        target = f"≤ {MOST_CPU_MS:g} ms CPU a line"
        name = f"Penstock, {each.size.lines:,} lines, 0 ms"
        yield Row(name, _pace_of(each), target, cpu <= MOST_CPU_MS, _parts(each.cpu_ms))
    peaks = ", ".join(f"{name} {mb:.0f}" for name, mb in many.rss_mb.items())
    kept = many.per_second / few.per_second
    what = f"pace of {many.size.lines:,} lines against {few.size.lines:,}"
    yield Row(what, f"{kept:.0%}", f"≥ {LEAST_KEPT:.0%}", kept >= LEAST_KEPT, f"peak MB: {peaks}")
    script = next(each for each in others if "aiohttp + JSONL" in each.name)
    share = few.per_second / script.per_second
    yield Row(
        "against the aiohttp script",
        f"{share:.0%}",
        f"≥ {LEAST_OF_SCRIPT:.0%}",
        share >= LEAST_OF_SCRIPT,
    )
    queues = [each for each in others if not each.name.startswith("script")]
    if queues:
        best = max(queues, key=lambda each: each.per_second)
        times = few.per_second / best.per_second
        yield Row("against the best of the peers", f"{times:.2f} ×", "> 1 ×", times > 1, best.name)


def _slow_rows(each: Drained) -> Iterator[Row]:
    pace = each.pace or 0.0
    wide = each.size.at_once == WIDE
    name = f"Penstock, {each.size.lines:,} lines, 1 s, {each.size.at_once:,} at a time"
    yield Row(name, _pace_of(each), note=_parts(each.cpu_ms))
    yield Row(
        "share of the upstream's own pace",
        f"{pace:.0%}",
        f"≥ {LEAST_PACE:.0%}" if wide else "",
        pace >= LEAST_PACE if wide else None,
        f"most in flight {each.most:,}; worker's peak {each.rss_mb['worker']:.0f} MB",
    )


def _peer_row(each: Contender, suffix: str = "") -> Row:
    figure = f"{each.per_second:,.0f} jobs/s, {each.cpu_ms:.2f} ms CPU"
    return Row(f"{each.name}{suffix}", figure, note=f"{each.jobs:,} jobs {_parts(each.parts)}")


def _missing() -> Iterator[Row]:
    if not drain_peers.installed():
        yield Row("Celery, arq, taskiq", "not installed: make peers")
    if not litellm.installed():
        yield Row("litellm", "not installed: make peers")


def _pace_of(each: Drained) -> str:
    return f"{each.per_second:,.0f} lines/s, {sum(each.cpu_ms.values()):.2f} ms CPU"


def _parts(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {ms:.2f}" for name, ms in parts.items() if ms >= 0.005)
