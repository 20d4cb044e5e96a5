"""*storms*: what becomes of other work, and of a route with a fallback, when an upstream is not well."""

import asyncio
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import prompts, service, upstreams
from bench.service import Service
from bench.upstreams import Upstream
from bench.wire import Client

DELAY_MS = 200
SLOWER = 1.5
TIMEOUT_S = 3
WELL, AILING = "well", "ailing"
AT_ONCE = 16
PILE = 1500
PILE_AT_ONCE = 20
SECONDS = 10.0
WARM_UP = 32
JOBS_DOWN = 500
SPORADIC_JOBS = 1500
MOST_OF_IT = 0.9
"""The last ones wait by their own back-off, those that were unlucky several times for long."""
LOOK_AGAIN_S = 0.05
DEPLOYMENT = """\
[[deployments]]
name = "{name}"
provider = "openai-compatible"
model = "bench"
base_url = "http://127.0.0.1:{port}/v1"
keys = ["sk-{name}"]
concurrency = {concurrency}
timeout_s = {timeout_s}
price = {{ input_usd = 0.15, output_usd = 0.60 }}
"""
ROUTE = """\
[[routes]]
model = "{strategy}"
strategy = "{strategy}"
deployments = ["ailing", "well"]
"""
STRATEGIES = ("latency", "least_busy", "priority")


@dataclass(frozen=True, slots=True)
class Storm:
    """What is wrong with the ailing upstream, as its `reset` takes it."""

    name: str
    delay_ms: int = DELAY_MS
    trouble: str = ""


CALM = Storm("calm")
SLOW = Storm("50 % slower", delay_ms=round(SLOWER * DELAY_MS))
SPORADIC = Storm("503 for every fifth", trouble="fail:503:0.2")
DOWN = Storm("500 for all", trouble="fail:500:1")
HANGING = Storm("hanging", trouble="hang")
LIMITED = Storm("429 above 20 a second", trouble="limit:20")


@dataclass(frozen=True, slots=True)
class Beside:
    """What jobs had that did not go there; `refused` are the ailing upstream's calls without an answer."""

    storm: str
    per_second: float
    p50_ms: float
    p95_ms: float
    calls: int
    refused: int


@dataclass(frozen=True, slots=True)
class Around:
    """What a route with a fallback had; `ailing` is the share of its calls that went there."""

    strategy: str
    storm: str
    per_second: float
    p95_ms: float
    ailing: float


@dataclass(frozen=True, slots=True)
class Down:
    """How a route fared whose primary is down: the first answer, then all of them."""

    storm: str
    first_ms: float
    jobs: int
    completed: int
    seconds: float
    calls_to_primary: int


@dataclass(frozen=True, slots=True)
class Drained:
    """How fast nine tenths of a pile went through one upstream, and all of it."""

    storm: str
    jobs: int
    most_s: float
    all_s: float
    calls: int


@contextmanager
def both(well: Upstream, *, concurrency: int = 64) -> Iterator[tuple[Service, Upstream]]:
    """Run a fresh service with a deployment that is well and one that may ail, and the latter's upstream."""
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as logs,
        upstreams.running(Path(logs)) as ailing,
    ):
        rows = [
            DEPLOYMENT.format(name=name, port=port, concurrency=most, timeout_s=TIMEOUT_S)
            for name, port, most in (
                (WELL, well.port, 64),
                (AILING, ailing.port, concurrency),
            )
        ]
        rows += [ROUTE.format(strategy=strategy) for strategy in STRATEGIES]
        config = "\n".join(rows)
        well.reset(delay_ms=DELAY_MS)
        ailing.reset(delay_ms=DELAY_MS)
        with service.running(well.port, concurrency=64, config=config) as running:
            asyncio.run(_jobs(running, WELL, jobs=WARM_UP))
            asyncio.run(_jobs(running, AILING, jobs=WARM_UP))
            yield running, ailing


def beside(well: Upstream, storm: Storm) -> Beside:
    """Measure jobs of one model while a pile of another's waits and its upstream ails."""
    with both(well, concurrency=PILE_AT_ONCE) as (running, ailing):
        _begin(ailing, storm)
        asyncio.run(_submit_all(running, AILING, jobs=PILE))
        took = asyncio.run(_jobs(running, WELL, seconds=SECONDS))
        seen = ailing.stats()
    return Beside(
        storm.name,
        len(took) / SECONDS,
        _percentile(took, 0.5),
        _percentile(took, 0.95),
        seen["calls"],
        seen["calls"] - seen["answered"],
    )


def around(well: Upstream, strategy: str, storms: Sequence[Storm]) -> list[Around]:
    """Measure a route with a fallback, one storm after the other in the same service."""
    found = []
    with both(well) as (running, ailing):
        for storm in storms:
            _begin(ailing, storm)
            well.reset(delay_ms=DELAY_MS)
            took = asyncio.run(_jobs(running, strategy, seconds=SECONDS))
            there, elsewhere = ailing.stats()["calls"], well.stats()["calls"]
            share = there / max(1, there + elsewhere)
            pace = len(took) / SECONDS
            found.append(Around(strategy, storm.name, pace, _percentile(took, 0.95), share))
    return found


def down(well: Upstream, storm: Storm) -> Down:
    """Measure a route whose first deployment is down."""
    with both(well) as (running, ailing):
        _begin(ailing, storm)
        (first_ms,) = asyncio.run(_jobs(running, "priority", jobs=1))
        began = time.perf_counter()
        took = asyncio.run(_jobs(running, "priority", jobs=JOBS_DOWN))
        seconds = time.perf_counter() - began
        calls = ailing.stats()["calls"]
    return Down(storm.name, first_ms, JOBS_DOWN + 1, len(took) + 1, seconds, calls)


def drained(well: Upstream, storm: Storm) -> Drained:
    """Measure how long a pile takes on an upstream that fails now and then."""
    with both(well) as (running, ailing):
        _begin(ailing, storm)
        began = time.perf_counter()
        ids = asyncio.run(_submit_all(running, AILING, jobs=SPORADIC_JOBS))
        while ailing.stats()["answered"] < MOST_OF_IT * SPORADIC_JOBS:
            running.check()
            time.sleep(LOOK_AGAIN_S)
        most_s = time.perf_counter() - began
        asyncio.run(_await_all(running, ids))
        all_s = time.perf_counter() - began
        calls = ailing.stats()["calls"]
    return Drained(storm.name, SPORADIC_JOBS, most_s, all_s, calls)


def _begin(ailing: Upstream, storm: Storm) -> None:
    ailing.reset(delay_ms=storm.delay_ms, trouble=storm.trouble)


async def _jobs(
    running: Service, model: str, *, jobs: int | None = None, seconds: float | None = None
) -> list[float]:
    """Keep some jobs going, each until its result is there; return the milliseconds of those that ended.

    Ends after so many jobs, or so many seconds: what is under way then is not counted.
    """
    client = Client(running.port, key=running.key, size=AT_ONCE)
    numbers = iter(range(jobs if jobs is not None else 1_000_000))
    until = time.perf_counter() + (seconds if seconds is not None else 1e6)
    took: list[float] = []

    async def one_after_another() -> None:
        for number in numbers:
            began = time.perf_counter()
            await _result(client, await _submit(client, model, number))
            ended = time.perf_counter()
            if ended > until:
                return
            took.append(1000 * (ended - began))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, jobs or AT_ONCE)):
            group.create_task(one_after_another())
    client.close()
    running.check()
    return took


async def _submit_all(running: Service, model: str, *, jobs: int) -> list[str]:
    client = Client(running.port, key=running.key, size=AT_ONCE)
    ids = await asyncio.gather(*(_submit(client, model, number) for number in range(jobs)))
    client.close()
    return ids


async def _await_all(running: Service, ids: Sequence[str]) -> None:
    client = Client(running.port, key=running.key, size=AT_ONCE)
    await asyncio.gather(*(_result(client, job_id) for job_id in ids))
    client.close()


async def _submit(client: Client, model: str, number: int) -> str:
    body: dict[str, Any] = orjson.loads(prompts.submit(number, model=model))
    job_id: str = (await client.json("/v1/jobs", body))["id"]
    return job_id


async def _result(client: Client, job_id: str) -> None:
    status, answer = await client.get(f"/v1/jobs/{job_id}/result?wait=60")
    if status != 200 or b'"choices"' not in answer:
        raise RuntimeError(f"the result answered {status}: {answer[:500]!r}")


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.inf
