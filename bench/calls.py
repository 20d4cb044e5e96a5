"""The client of *now*: the same chat request again and again, so many at a time, and how long each took.

`python -m bench.calls --port 8000 --key pk_… --at-once 64 --count 4000` prints one line of JSON.
A process of its own, so that what it costs is not counted as anybody's who answers.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import uvloop

from bench import prompts
from bench.upstream import allow_many_files
from bench.wire import Client

PATH = "/v1/chat/completions"


@dataclass(slots=True)
class Taken:
    """How long each answered call took, in milliseconds."""

    times_ms: list[float] = field(default_factory=list)


async def call(client: Client, bodies: Iterator[bytes], taken: Taken, *, until: float) -> None:
    """Call for one body after another until they or the time are used up.

    Raises:
        RuntimeError: an answer was none.
    """
    for body in bodies:
        began = time.perf_counter()
        status, answer = await client.post(PATH, body)
        ended = time.perf_counter()
        if status != 200 or b'"choices"' not in answer:
            raise RuntimeError(f"the call answered {status}: {answer[:500]!r}")
        taken.times_ms.append(1000 * (ended - began))
        if ended > until:
            return


async def _run(options: argparse.Namespace) -> dict[str, float]:
    # The bodies are made beforehand: their cost is nobody's.
    bodies = iter(list(prompts.chats(options.count, model=options.model)))
    client = Client(options.port, key=options.key, size=options.at_once)
    taken = Taken()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(options.at_once):
            group.create_task(call(client, bodies, taken, until=began + options.seconds))
    seconds = time.perf_counter() - began
    client.close()
    cuts = statistics.quantiles(taken.times_ms, n=100, method="inclusive")
    return {
        "done": len(taken.times_ms),
        "seconds": seconds,
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "client_cpu_s": time.process_time(),
    }


def main() -> None:
    """Run the client as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="bench")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    allow_many_files()
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
