"""`litellm` as a library: its `batch_completion`, which has threads, or its `acompletion` on asyncio.

`python -m bench.peers.with_litellm batch --url … --jobs 500` prints one line of JSON, like the
scripts of the bench; it stops after `--seconds`, so that it comes to an end.
"""

import argparse
import asyncio
import contextlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import litellm  # type: ignore[import-not-found]
import orjson

from bench import prompts
from shared import open_files

THREADS = 100
Messages = list[dict[str, str]]


def by_batch(
    asked: Iterator[Messages], out: IO[bytes], options: argparse.Namespace, how: dict[str, Any]
) -> None:
    """Hand over as many at a time as there are threads, until the time is over."""
    until = time.perf_counter() + options.seconds
    everything = list(asked)
    for start in range(0, len(everything), options.at_once):
        if time.perf_counter() > until:
            return
        some = everything[start : start + options.at_once]
        for answer in litellm.batch_completion(messages=some, max_workers=THREADS, **how):
            _write(answer, out)


def by_acompletion(
    asked: Iterator[Messages], out: IO[bytes], options: argparse.Namespace, how: dict[str, Any]
) -> None:
    """Keep so many calls going on one event loop, until the time is over."""

    async def worker() -> None:
        for messages in asked:
            _write(await litellm.acompletion(messages=messages, **how), out)

    async def every() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(options.seconds):
                await asyncio.gather(*(worker() for _ in range(options.at_once)))

    asyncio.run(every())


WAYS: dict[str, Callable[..., None]] = {"batch": by_batch, "acompletion": by_acompletion}


def _write(answer: Any, out: IO[bytes]) -> None:
    text = answer.choices[0].message.content
    out.write(orjson.dumps({"answer": text, "tokens": answer.usage.total_tokens}) + b"\n")


def _run(options: argparse.Namespace) -> dict[str, float]:
    how = {"model": "openai/bench", "api_base": options.url, "api_key": "sk-bench"}
    how |= {"temperature": 0, "max_tokens": 200, "num_retries": 0}
    asked = (prompts.chat(number, model="bench")["messages"] for number in range(options.jobs))
    with tempfile.TemporaryFile() as out:
        began, cpu = time.perf_counter(), _cpu_s()
        WAYS[options.way](asked, out, options, how)
        seconds, cpu = time.perf_counter() - began, _cpu_s() - cpu
        out.seek(0)
        done = sum(1 for _ in out)
    return {"done": done, "seconds": seconds, "cpu_ms": 1000 * cpu / max(1, done)}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run as a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=40.0)
    open_files.raise_limit()
    print(orjson.dumps(_run(parser.parse_args())).decode())


if __name__ == "__main__":
    main()
