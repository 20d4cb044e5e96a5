"""What a user would write instead: asyncio and a JSONL file, nothing kept if it is killed.

`python -m bench.scripts httpx --port 9000 --jobs 5000 --at-once 1000` prints one line of JSON.
It stops after `--seconds`, so that a client which collapses still comes to an end.
"""

import argparse
import asyncio
import contextlib
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import IO

import aiohttp
import httpx
import orjson

from bench import prompts
from bench.upstream import allow_many_files

Call = Callable[[bytes], Awaitable[bytes]]
HEADERS = {"authorization": "Bearer sk-bench", "content-type": "application/json"}


@asynccontextmanager
async def with_httpx(url: str, at_once: int) -> AsyncIterator[Call]:
    """Call with httpx."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits, timeout=None, headers=HEADERS) as client:

        async def call(body: bytes) -> bytes:
            response = await client.post(url, content=body)
            response.raise_for_status()
            return response.content

        yield call


@asynccontextmanager
async def with_aiohttp(url: str, at_once: int) -> AsyncIterator[Call]:
    """Call with aiohttp."""
    connector = aiohttp.TCPConnector(limit=at_once)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=HEADERS
    ) as session:

        async def call(body: bytes) -> bytes:
            async with session.post(url, data=body) as response:
                response.raise_for_status()
                return await response.read()

        yield call


CLIENTS = {"httpx": with_httpx, "aiohttp": with_aiohttp}


async def work(call: Call, bodies: Iterator[bytes], out: IO[bytes], at_once: int) -> int:
    """Call for every body, `at_once` at a time; write a line for each answer; return how many."""
    done = 0

    async def worker() -> None:
        nonlocal done
        for body in bodies:
            answer = orjson.loads(await call(body))
            text = answer["choices"][0]["message"]["content"]
            out.write(orjson.dumps({"answer": text, "usage": answer["usage"]}) + b"\n")
            done += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return done


async def _run(options: argparse.Namespace) -> dict[str, float]:
    url = f"http://127.0.0.1:{options.port}/v1/chat/completions"
    lines: list[int] = []
    with tempfile.TemporaryFile() as out:
        async with CLIENTS[options.client](url, options.at_once) as call:
            bodies = prompts.chats(options.jobs, model="bench")
            began, cpu = time.perf_counter(), _cpu_s()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.seconds):
                    await work(call, bodies, out, options.at_once)
            seconds = time.perf_counter() - began
            cpu = _cpu_s() - cpu
        out.flush()
        out.seek(0)
        lines.extend(1 for _ in out)
    done = len(lines)
    return {"done": done, "seconds": seconds, "cpu_ms": 1000 * cpu / max(1, done)}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run one script as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    allow_many_files()
    print(orjson.dumps(asyncio.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
