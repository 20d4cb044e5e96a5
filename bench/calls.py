"""The client of *now* and *stream*: the same chat request again and again, so many at a time.

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
from bench.upstream_stream import CHUNKS
from bench.wire import Client, StreamClient

PATH = "/v1/chat/completions"
MESSAGES = "/v1/messages"


@dataclass(slots=True)
class Taken:
    """What was answered: how long each call took in milliseconds, and how many chunks came."""

    times_ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    chunks: int = 0
    events: int = 0


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


async def stream(
    client: StreamClient, path: str, bodies: Iterator[bytes], taken: Taken, *, until: float
) -> None:
    """Stream one answer after another until the bodies or the time are used up.

    Raises:
        RuntimeError: a stream was not whole.
    """
    for body in bodies:
        began = time.perf_counter()
        streamed = await client.post(path, body)
        ended = time.perf_counter()
        # All chunks but the one with the role and the one with the reason to stop have a text.
        if streamed.status != 200 or streamed.texts != CHUNKS - 2:
            raise RuntimeError(f"a stream of {streamed.texts} texts: {streamed.body[:2000]!r}")
        taken.times_ms.append(1000 * (ended - began))
        taken.first_ms.append(1000 * (streamed.first_at - began))
        taken.chunks += CHUNKS
        taken.events += streamed.events
        if ended > until:
            return


async def _run(options: argparse.Namespace) -> dict[str, float]:
    # The bodies are made beforehand: their cost is nobody's.
    path = MESSAGES if options.messages else PATH
    made = (
        prompts.messages(options.count, model=options.model)
        if options.messages
        else prompts.chats(options.count, model=options.model, stream=options.stream)
    )
    bodies = iter([*made])
    taken = Taken()
    client = Client(options.port, key=options.key, size=options.at_once)
    began = time.perf_counter()
    until = began + options.seconds
    async with asyncio.TaskGroup() as group:
        for _ in range(options.at_once):
            if options.stream:
                streams = StreamClient(options.port, key=options.key)
                group.create_task(stream(streams, path, bodies, taken, until=until))
            else:
                group.create_task(call(client, bodies, taken, until=until))
    seconds = time.perf_counter() - began
    client.close()
    said: dict[str, float] = {"done": len(taken.times_ms), "seconds": seconds}
    said |= _percentiles("", taken.times_ms)
    said |= {"chunks": taken.chunks, "events": taken.events}
    return said | (_percentiles("first_", taken.first_ms) if options.stream else {})


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {f"{name}p50_ms": cuts[49], f"{name}p99_ms": cuts[98]}


def main() -> None:
    """Run the client as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="sk-bench")
    parser.add_argument("--model", default="bench")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="begin no call after this")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--messages", action="store_true", help="ask in Anthropic's dialect")
    allow_many_files()
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
