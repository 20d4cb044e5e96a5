"""The parts of the bench that tell how a batch gets in."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from bench import bulk_submit
from bench.bulk_submit import Stored
from bench.report import Row, Section
from bench.upstreams import Upstream

LEAST_PER_SECOND = 5000
MOST_GROWTH_MB = 100
LEAST_KEPT = 0.9
"""So much of the pace of few lines is left with many."""
FEW = 10_000


def measure_bulk_submit(upstream: Upstream, lines: int) -> Section:
    """Submit a small and a large file to SQLite."""
    return _section(upstream, lines, bulk_submit.measure, "SQLite")


def measure_on_postgres(upstream: Upstream, lines: int) -> Section:
    """Submit a small and a large file to PostgreSQL."""
    return _section(upstream, lines, bulk_submit.on_postgres, "PostgreSQL")


def _section(
    upstream: Upstream, lines: int, measure: Callable[[Upstream, int], Stored], database: str
) -> Section:
    few, many = (measure(upstream, some) for some in (FEW, lines))
    kept = many.per_second / few.per_second
    rows = [
        *_rows(few),
        *_rows(many),
        Row(
            f"pace of {many.lines:,} lines against {few.lines:,}",
            f"{kept:.0%}",
            f"≥ {LEAST_KEPT:.0%}",
            kept >= LEAST_KEPT,
        ),
    ]
    title = f"bulk submit: upload, batch, every line checked and stored as a job, {database}"
    return Section(title, rows, [asdict(each) for each in (few, many)])


def _rows(found: Stored) -> Iterator[Row]:
    name = f"{found.lines:,} lines, {found.megabytes:.0f} MB"
    note = f"{found.seconds:.2f} s: upload {found.upload_s:.2f}, create {found.create_s:.2f}"
    target = f"≥ {LEAST_PER_SECOND:,} lines/s"
    fast = found.per_second >= LEAST_PER_SECOND
    yield Row(name, f"{found.per_second:,.0f} lines/s", target, fast, note)
    growth = max(found.growth_mb.values())
    parts = ", ".join(f"{part} +{mb:.0f}" for part, mb in found.growth_mb.items())
    cpu = ", ".join(f"{part} {ms:.3f}" for part, ms in found.cpu_ms.items())
    small = growth < MOST_GROWTH_MB
    target = f"< {MOST_GROWTH_MB} MB"
    yield Row("", f"+{growth:.0f} MB", target, small, f"MB: {parts}; CPU ms: {cpu}")
