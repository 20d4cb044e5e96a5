"""The pipelines that one would build instead, drained like ours: filled while stopped, then let go.

Each keeps its own defaults, and its results in the same kind of Redis as ours (AOF); none stores a
job anywhere else. What is slow is measured on fewer jobs, and cut off after `MOST_S`.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from api.cli import embedded_redis
from bench import litellm, processes
from bench.jobs import Contender
from bench.processes import Child, cpu_seconds
from bench.service import free_port
from bench.upstreams import Upstream

INTERPRETER = processes.ROOT / ".venv" / "sdks" / "queues" / "bin" / "python"
MOST_S = 40.0
STARTS_WITHIN_S = 30.0
PUT_WITHIN_S = 120.0
POLL_S = 0.02
STORES_S = 0.5
"""After the last answer: what is under way is stored."""
WARM_UP = 100
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Peer:
    """A pipeline with a client; `jobs` is how many of it end in about half a minute."""

    name: str
    module: str
    client: str
    jobs: int


PEERS = (
    Peer("Celery, gevent, requests", "with_celery", "requests", 2500),
    Peer("arq, httpx", "with_arq", "httpx", 2500),
    Peer("arq, aiohttp", "with_arq", "aiohttp", 5000),
    Peer("taskiq, aiohttp", "with_taskiq", "aiohttp", 5000),
)
LIBRARY = {"batch": "litellm batch_completion", "acompletion": "litellm acompletion"}
LIBRARY_JOBS = 1500


def installed() -> bool:
    """Tell whether the pipelines' environment is there: `make peers` makes it."""
    return INTERPRETER.exists()


def measure(upstream: Upstream, *, delay_ms: int, most_jobs: int) -> Iterator[Contender]:
    """Drain every pipeline that is installed, then run litellm's own ways."""
    for peer in PEERS if installed() else ():
        yield drain(upstream, peer, jobs=min(peer.jobs, most_jobs), delay_ms=delay_ms)
    for way in LIBRARY if litellm.installed() else ():
        yield library(upstream, way, jobs=min(LIBRARY_JOBS, most_jobs), delay_ms=delay_ms)


def drain(upstream: Upstream, peer: Peer, *, jobs: int, delay_ms: int) -> Contender:
    """Fill a pipeline's queue while its worker is stopped, let it go, and follow the upstream.

    Raises:
        RuntimeError: its worker ended, or never made a call.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        with embedded_redis.start(folder / "redis", port=free_port()) as redis:
            arguments = ["-m", f"bench.peers.{peer.module}"]
            worker = _start(peer, [*arguments, "work"], redis.url, upstream, folder)
            with processes.running(worker):
                put = [str(INTERPRETER), *arguments, "put", "--redis", redis.url]
                upstream.reset(delay_ms=0)
                _put(put, jobs=WARM_UP, first=0)
                _until_answered(upstream, worker, WARM_UP, within_s=STARTS_WITHIN_S)
                time.sleep(STORES_S)
                with _stopped(worker):
                    _put(put, jobs=jobs, first=WARM_UP)
                    upstream.reset(delay_ms=delay_ms)
                    before = worker.cpu_s(), cpu_seconds(redis.process.pid)
                    began = time.time()
                _until_answered(upstream, worker, jobs, within_s=MOST_S)
                seen = upstream.stats()
                time.sleep(STORES_S)
                used = worker.cpu_s() - before[0], cpu_seconds(redis.process.pid) - before[1]
                return _found(peer, seen["answered"], seen["last_answer_at"] - began, used, worker)


def _found(
    peer: Peer, done: int, seconds: float, used: tuple[float, float], worker: Child
) -> Contender:
    if not done:
        raise RuntimeError(f"{peer.name} made no call:\n{worker.last_words()}")
    parts = {"worker": 1000 * used[0] / done, "redis": 1000 * used[1] / done}
    peaks = {"worker": worker.rss_mb()}
    return Contender(peer.name, done, seconds, sum(parts.values()), parts, peaks)


def _start(
    peer: Peer, arguments: list[str], redis_url: str, upstream: Upstream, logs: Path
) -> Child:
    arguments += ["--redis", redis_url, "--client", peer.client, "--at-once", str(AT_ONCE)]
    arguments += ["--url", f"http://127.0.0.1:{upstream.port}/v1/chat/completions"]
    return processes.python(peer.module, arguments, logs=logs, interpreter=str(INTERPRETER))


def _put(command: list[str], *, jobs: int, first: int) -> None:
    many = ["--jobs", str(jobs), "--first", str(first)]
    subprocess.run([*command, *many], cwd=processes.ROOT, check=True, timeout=PUT_WITHIN_S)


@contextlib.contextmanager
def _stopped(worker: Child) -> Iterator[None]:
    pids = worker.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _until_answered(upstream: Upstream, worker: Child, jobs: int, *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and upstream.stats()["answered"] < jobs:
        worker.check()
        time.sleep(POLL_S)


def library(upstream: Upstream, way: str, *, jobs: int, delay_ms: int) -> Contender:
    """Run litellm as a library; it keeps nothing but a file of answers."""
    upstream.reset(delay_ms=delay_ms)
    command = [str(litellm.INTERPRETER), "-m", "bench.peers.with_litellm", way]
    command += ["--url", f"http://127.0.0.1:{upstream.port}/v1", "--jobs", str(jobs)]
    command += ["--at-once", str(AT_ONCE), "--seconds", str(MOST_S)]
    ran = subprocess.run(
        command,
        cwd=processes.ROOT,
        env={**os.environ, **litellm.ENVIRONMENT},
        capture_output=True,
        timeout=MOST_S + PUT_WITHIN_S,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"litellm failed:\n{ran.stderr[-3000:].decode('utf-8', 'replace')}")
    said = orjson.loads(ran.stdout.strip().splitlines()[-1])
    return Contender(LIBRARY[way], said["done"], said["seconds"], said["cpu_ms"], {}, {})
