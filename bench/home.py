"""*home*: from the end of a job to whoever waits for it, by event stream, long poll and webhook."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import uvloop

from bench import prompts, service
from bench.listeners import Listener
from bench.processes import resident_mb
from bench.receiver import Receiver
from bench.service import MODEL, Service
from bench.submit import percentiles
from bench.upstreams import Upstream
from bench.wire import Client

DELAY_MS = 300
LEVELS = {1: 60, 32: 960}
WARM_UP = 16
ARRIVES_WITHIN_S = 30.0
SETTINGS = {"PENSTOCK_WEBHOOK_ALLOW_PRIVATE": "true"}
LISTENERS = 2000
IDLE_S = 20.0
HOOKS = 6000
ENDPOINTS = 4


@dataclass(frozen=True, slots=True)
class Delays:
    """Delays by each way home with so many jobs at a time, in milliseconds: median and 99th."""

    at_once: int
    jobs: int
    ms: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Idle:
    """What clients that hear nothing cost one API process; CPU as a share of one core."""

    clients: int
    mb: float
    kb_each: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Hooks:
    """Webhooks that were due at once, as a local receiver saw them come."""

    count: int
    seconds: float
    cpu_ms: dict[str, float]

    @property
    def per_second(self) -> float:
        """Return webhooks a second."""
        return self.count / self.seconds


@dataclass(slots=True)
class _Found:
    """The delays of each way, in milliseconds."""

    events: list[float] = field(default_factory=list)
    long_poll: list[float] = field(default_factory=list)
    webhook: list[float] = field(default_factory=list)


def measure_delays(upstream: Upstream) -> list[Delays]:
    """Wait for each job in all three ways at once."""
    upstream.reset(delay_ms=DELAY_MS)
    with service.running(upstream.port, concurrency=256, settings=SETTINGS) as running:
        return uvloop.run(_delays(running))


async def _delays(running: Service) -> list[Delays]:
    receiver = Receiver()
    await receiver.start()
    await _wait(running, receiver, WARM_UP, at_once=4)
    found = [
        await _wait(running, receiver, jobs, at_once=at_once) for at_once, jobs in LEVELS.items()
    ]
    receiver.stop()
    return found


async def _wait(running: Service, receiver: Receiver, jobs: int, *, at_once: int) -> Delays:
    client = Client(running.port, key=running.key, size=2 * at_once)
    numbers = iter(range(jobs))
    found = _Found()

    async def one_after_another() -> None:
        for number in numbers:
            await _follow(running, client, receiver, number, found)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    client.close()
    ways = {"SSE": found.events, "long poll": found.long_poll, "webhook": found.webhook}
    return Delays(at_once, jobs, {name: percentiles(values) for name, values in ways.items()})


async def _follow(
    running: Service, client: Client, receiver: Receiver, number: int, found: _Found
) -> None:
    body = orjson.loads(prompts.submit(number, model=MODEL))
    hook = {"url": receiver.url, "events": ["job.completed"]}
    job_id: str = (await client.json("/v1/jobs", {**body, "webhook": hook}))["id"]
    listener = Listener(running.port, running.key, job_id)
    told, polled, arrived = await asyncio.gather(
        listener.until("job.completed", within_s=ARRIVES_WITHIN_S),
        _poll(client, job_id),
        receiver.arrival(job_id, within_s=ARRIVES_WITHIN_S),
    )
    job, answered = polled
    ended = datetime.fromisoformat(job["finished_at"]).timestamp()
    found.events.append(1000 * (told - ended))
    found.long_poll.append(1000 * (answered - ended))
    found.webhook.append(1000 * (arrived - ended))


async def _poll(client: Client, job_id: str) -> tuple[Any, float]:
    job = await client.json(f"/v1/jobs/{job_id}?wait=60")
    answered = time.time()
    if job["status"] != "completed":
        raise RuntimeError(f"the job is {job['status']}: {job['error']}")
    return job, answered


def measure_idle(upstream: Upstream) -> Idle:
    """Let many clients follow jobs of which nothing is heard, and see what they cost."""
    parts = ("api", "scheduler")
    with service.running(upstream.port, concurrency=1, parts=parts) as running:
        return uvloop.run(_idle(running))


async def _idle(running: Service) -> Idle:
    client = Client(running.port, key=running.key, size=16)
    body = orjson.loads(prompts.submit(0, model=MODEL))
    later = _time(time.time() + 3600)
    ids = [
        (await client.json("/v1/jobs", {**body, "scheduled_at": later}))["id"]
        for _ in range(LISTENERS)
    ]
    await asyncio.sleep(2)
    api = running.parts["api"]
    before_mb = resident_mb(api.pids[0])
    listeners = [Listener(running.port, running.key, job_id) for job_id in ids]
    for start in range(0, LISTENERS, 100):
        some = listeners[start : start + 100]
        await asyncio.gather(*(each.until("snapshot", within_s=30) for each in some))
    await asyncio.sleep(2)
    cpu_s, began = api.cpu_s(), time.perf_counter()
    await asyncio.sleep(IDLE_S)
    cpu = (api.cpu_s() - cpu_s) / (time.perf_counter() - began)
    after_mb = resident_mb(api.pids[0])
    gone = sum(each.gone for each in listeners)
    if gone:
        raise RuntimeError(f"{gone} of {LISTENERS} event streams ended")
    for each in listeners:
        each.close()
    return Idle(LISTENERS, after_mb, 1024 * (after_mb - before_mb) / LISTENERS, cpu)


def measure_hooks(upstream: Upstream) -> Hooks:
    """Make thousands of webhooks due at one moment, and see them come."""
    upstream.reset(delay_ms=0)
    with service.running(upstream.port, concurrency=2048, settings=SETTINGS) as running:
        return uvloop.run(_hooks(running))


async def _hooks(running: Service) -> Hooks:
    receiver = Receiver()
    await receiver.start()
    client = Client(running.port, key=running.key, size=64)
    endpoints = [await _disabled_endpoint(client, receiver) for _ in range(ENDPOINTS)]
    await _complete(client, HOOKS // ENDPOINTS)
    for endpoint in endpoints:
        await client.json(f"/v1/webhook_endpoints/{endpoint}", {"enabled": True})
    before = running.cpu_s()
    began = time.time()
    since = {"since": _time(began - 3600)}
    for endpoint in endpoints:
        await client.json(f"/v1/webhook_endpoints/{endpoint}/recover", since)
    ended = await receiver.arrivals(HOOKS, within_s=60)
    after = running.cpu_s()
    client.close()
    receiver.stop()
    used = {name: 1000 * (after[name] - before[name]) / HOOKS for name in after}
    return Hooks(HOOKS, ended - began, used)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


async def _disabled_endpoint(client: Client, receiver: Receiver) -> str:
    asked = {"name": "bench", "url": receiver.url, "event_types": ["job.completed"]}
    endpoint: str = (await client.json("/v1/webhook_endpoints", asked))["id"]
    await client.json(f"/v1/webhook_endpoints/{endpoint}", {"enabled": False})
    return endpoint


async def _complete(client: Client, jobs: int) -> None:
    bodies = iter(list(prompts.chats(jobs, model=MODEL)))

    async def one_after_another() -> None:
        for body in bodies:
            status, answer = await client.post("/v1/chat/completions", body)
            if status != 200:
                raise RuntimeError(f"the call answered {status}: {answer[:300]!r}")

    async with asyncio.TaskGroup() as group:
        for _ in range(64):
            group.create_task(one_after_another())
