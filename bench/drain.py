"""*drain*: a batch that is stored and waits, from its resumption to the end of its last line."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench import backlog, service
from bench.processes import cpu_seconds, tree
from bench.service import Service
from bench.upstreams import Upstream
from shared.database import Database
from tests.servers import DURABLE, PostgresServer

WARM_UP = 300
WIDE = 2048
SHARE = 0.9
"""What lanes and workers leave to lines, by the default settings: the rest is for interactive work."""
AHEAD = 1.25
"""So much more than it calls at a time a worker may hold: what waits for a place, and what is being kept."""
POLL_S = 0.05
MOST_S = 180.0


@dataclass(frozen=True, slots=True)
class Size:
    """So many lines, a call's time, how many calls of lines are admitted at a time, and who makes them."""

    lines: int
    delay_ms: int = 0
    at_once: int = WIDE
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Drained:
    """A drained batch: `cpu_ms` is CPU a line by process, `upstream_s` from first call to last answer.

    `pace` is a share of what this many calls at a time could be at best; None where calls take no
    time.
    """

    size: Size
    seconds: float
    upstream_s: float
    most: int
    cpu_ms: Mapping[str, float]
    upstream_cpu_ms: float
    rss_mb: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Return lines a second."""
        return self.size.lines / self.seconds

    @property
    def pace(self) -> float | None:
        """Return the share of the best that so many calls at a time could do."""
        if not self.size.delay_ms:
            return None
        waves = -(-self.size.lines // self.size.at_once)
        return waves * self.size.delay_ms / 1000 / self.upstream_s


def measure(upstream: Upstream, size: Size) -> Drained:
    """Drain a batch with a fresh service on SQLite.

    Raises:
        RuntimeError: a line was called more than once, or the limit was not kept.
    """
    with _running(upstream, size) as running:
        return asyncio.run(_drain(running, upstream, size))


def on_postgres(upstream: Upstream, size: Size) -> Drained:
    """Drain a batch with a PostgreSQL of its own, which waits for the disk as it does by default.

    Raises:
        RuntimeError: a line was called more than once, or the limit was not kept.
    """
    server = PostgresServer(settings=DURABLE)
    try:
        server.start()
        url = server.url(server.create_database())
        with _running(upstream, size, database=url) as running:
            running.others["postgres"] = lambda: sum(map(cpu_seconds, tree(server.pid)))
            return asyncio.run(_drain(running, upstream, size))
    finally:
        server.remove()


@contextlib.contextmanager
def _running(upstream: Upstream, size: Size, *, database: str = "") -> Iterator[Service]:
    # Rounded down, as the limiter rounds what it keeps for others.
    admitted = int(size.at_once / SHARE)
    settings = {"PENSTOCK_MAX_IN_FLIGHT": str(round(admitted * AHEAD))}
    if database:
        settings["PENSTOCK_DATABASE_URL"] = database
    with service.running(upstream.port, concurrency=admitted, settings=settings) as running:
        for number in range(2, size.workers + 1):
            running.start(f"worker {number}", "worker")
        yield running


async def _drain(running: Service, upstream: Upstream, size: Size) -> Drained:
    database = Database(running.environment["PENSTOCK_DATABASE_URL"])
    try:
        upstream.reset(delay_ms=0)
        warm = await backlog.put(running, database, lines=WARM_UP * size.workers)
        await _let_go(running, database, warm, WARM_UP * size.workers)
        batch_id = await backlog.put(running, database, lines=size.lines)
        upstream.reset(delay_ms=size.delay_ms)
        before, theirs = running.cpu_s(), upstream.child.cpu_s()
        seconds = await _let_go(running, database, batch_id, size.lines)
        after, seen = running.cpu_s(), upstream.stats()
        if seen["calls"] != size.lines or seen["max_in_flight"] > size.at_once:
            raise RuntimeError(f"{size.lines} lines, but the upstream saw {seen}")
        return Drained(
            size=size,
            seconds=seconds,
            upstream_s=seen["last_answer_at"] - seen["first_call_at"],
            most=seen["max_in_flight"],
            cpu_ms={name: 1000 * (after[name] - before[name]) / size.lines for name in after},
            upstream_cpu_ms=1000 * (upstream.child.cpu_s() - theirs) / size.lines,
            rss_mb=running.rss_mb(),
        )
    finally:
        await database.close()


async def _let_go(running: Service, database: Database, batch_id: str, lines: int) -> float:
    began = time.perf_counter()
    await backlog.let_go(running, batch_id)
    while (ended := await backlog.ended(database, batch_id)) < lines:
        running.check()
        if time.perf_counter() - began > MOST_S:
            raise RuntimeError(f"{ended} of {lines} lines ended in {MOST_S} s")
        await asyncio.sleep(POLL_S)
    return time.perf_counter() - began
