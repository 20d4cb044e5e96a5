"""The client of the bench: submits each job by its own request and fetches every result.

`python -m bench.load --port 8000 --key pk_… --jobs 5000 --fetch wait` prints one line of JSON.
A process of its own, so that what it costs is not counted as Penstock's.
"""

import argparse
import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import uvloop

from bench import prompts
from bench.upstream import allow_many_files
from bench.wire import Client

LOOKUP = 500
LOOK_AGAIN_S = 0.1
SELDOM_S = 0.5
SUBMITTED = "submitted"
ENDED = {"completed", "failed", "cancelled", "expired"}


@dataclass(slots=True)
class Load:
    """What is to be done and what was."""

    client: Client
    bodies: Iterator[bytes]
    jobs: int
    submitted: int = 0
    submitted_in_s: float = 0.0
    completed: int = 0
    pending: deque[str] = field(default_factory=deque)
    began: float = field(default_factory=time.perf_counter)

    async def submit(self, body: bytes) -> str:
        """Submit one job; return its id."""
        status, answer = await self.client.post("/v1/jobs", body)
        if status != 202:
            raise RuntimeError(f"submit answered {status}: {answer[:500]!r}")
        self.submitted += 1
        if self.submitted == self.jobs:
            self.submitted_in_s = time.perf_counter() - self.began
        job_id: str = orjson.loads(answer)["id"]
        return job_id


async def by_wait(load: Load, *, at_once: int) -> None:
    """Keep `at_once` jobs going: submit, then wait for the result by long poll."""

    async def one_after_another() -> None:
        for body in load.bodies:
            path = f"/v1/jobs/{await load.submit(body)}/result?wait=60"
            status, answer = await load.client.get(path)
            if status != 200:
                raise RuntimeError(f"the result answered {status}: {answer[:500]!r}")
            load.completed += _is_answer(orjson.loads(answer))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())


async def by_lookup(load: Load, *, at_once: int) -> None:
    """Submit all, `at_once` requests at a time; meanwhile look up the oldest 500 again and again."""

    async def one_after_another() -> None:
        for body in load.bodies:
            load.pending.append(await load.submit(body))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
        await _look_up_all(load)


async def by_backlog(load: Load, *, at_once: int) -> None:
    """Submit all and say so in a line; then look up, now and then, until all have ended."""

    async def one_after_another() -> None:
        for body in load.bodies:
            load.pending.append(await load.submit(body))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_another())
    print(SUBMITTED, flush=True)
    await _look_up_all(load, again_s=SELDOM_S)


async def _look_up_all(load: Load, *, again_s: float = LOOK_AGAIN_S) -> None:
    ended = 0
    while ended < load.jobs:
        oldest = [load.pending.popleft() for _ in range(min(LOOKUP, len(load.pending)))]
        if not oldest:
            await asyncio.sleep(again_s)
            continue
        answer = await load.client.json("/v1/jobs/lookup", {"ids": oldest})
        there = {job["id"]: job for job in answer["data"]}
        going = [each for each in oldest if there[each]["status"] not in ENDED]
        ended += len(oldest) - len(going)
        load.completed += sum(
            _is_answer((job["result"] or {}).get("body"))
            for job in there.values()
            if job["status"] == "completed"
        )
        load.pending.extendleft(reversed(going))
        if len(going) > len(oldest) // 2:
            await asyncio.sleep(again_s)


def _is_answer(body: object) -> bool:
    return isinstance(body, dict) and bool(body["choices"][0]["message"]["content"])


FETCH = {"wait": by_wait, "lookup": by_lookup, "backlog": by_backlog}


async def _run(options: argparse.Namespace) -> dict[str, float]:
    # The bodies are made beforehand: their cost is nobody's.
    bodies = iter(list(prompts.submits(options.jobs, model=options.model)))
    client = Client(options.port, key=options.key, size=options.at_once + 1)
    load = Load(client, bodies, options.jobs)
    cpu = time.process_time()
    await FETCH[options.fetch](load, at_once=options.at_once)
    seconds = time.perf_counter() - load.began
    client.close()
    return {
        "completed": load.completed,
        "seconds": seconds,
        "submitted_in_s": load.submitted_in_s,
        "client_cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    """Run the client as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--model", default="bench")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--fetch", choices=FETCH, default="wait")
    allow_many_files()
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
