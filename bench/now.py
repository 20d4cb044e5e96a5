"""*now*: a chat completion that its caller waits for, beside the direct call and beside litellm."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bench import litellm, processes, service
from bench.upstreams import Upstream

CONCURRENCY = 4096
WARM_UP = 400
LEVELS = {1: 500, 16: 3000, 64: 5000, 256: 6000, 1000: 8000}
"""So many calls at so many at a time; who is slow stops after `MOST_S`."""
MOST_S = 12.0
GRACE_S = 60.0
Cpu = Callable[[], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls with so many under way at a time; `cpu_ms` is CPU a call by process."""

    who: str
    at_once: int
    done: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Return calls a second."""
        return self.done / self.seconds


@dataclass(frozen=True, slots=True)
class Door:
    """Somebody who answers chat requests; `cpu` tells the CPU seconds used so far, by process."""

    who: str
    port: int
    key: str
    cpu: Cpu


def measure(upstream: Upstream) -> list[Pace]:
    """Measure every level at the upstream itself, at a fresh Penstock, and at litellm if it is there."""
    upstream.reset(delay_ms=0)
    direct = Door("direct", upstream.port, "sk-bench", dict)
    found = [_pace(direct, at_once) for at_once in LEVELS]
    for opened in doors(upstream):
        with opened as door:
            ask(door, at_once=16, count=WARM_UP, seconds=MOST_S)
            found += [_pace(door, at_once) for at_once in LEVELS]
    return found


def doors(upstream: Upstream) -> Iterator[contextlib.AbstractContextManager[Door]]:
    """Yield Penstock, and litellm if it is installed, each still to be opened."""
    yield _penstock(upstream)
    if litellm.installed():
        yield _litellm(upstream)


@contextlib.contextmanager
def _penstock(upstream: Upstream) -> Iterator[Door]:
    with service.running(upstream.port, concurrency=CONCURRENCY) as running:
        yield Door("Penstock", running.port, running.key, running.cpu_s)
        running.check()


@contextlib.contextmanager
def _litellm(upstream: Upstream) -> Iterator[Door]:
    with (
        tempfile.TemporaryDirectory(prefix="penstock-bench-") as logs,
        litellm.running(upstream.port, Path(logs)) as proxy,
    ):
        who = f"litellm {litellm.version()}"
        yield Door(who, proxy.port, proxy.key, lambda: {"proxy": proxy.child.cpu_s()})


def ask(
    door: Door,
    *,
    at_once: int,
    count: int,
    seconds: float,
    stream: bool = False,
    messages: bool = False,
) -> Any:
    """Run the bench's client against a door and return what it says; `messages`: in Anthropic's dialect.

    Raises:
        RuntimeError: an answer was none.
    """
    arguments = ["-m", "bench.calls", "--port", str(door.port), "--key", door.key]
    arguments += ["--at-once", str(at_once), "--count", str(count), "--seconds", str(seconds)]
    arguments += ["--stream"] if stream else []
    arguments += ["--messages"] if messages else []
    return orjson.loads(processes.run_json(arguments, timeout_s=seconds + GRACE_S))


def cpu_ms(before: dict[str, float], after: dict[str, float], count: int) -> dict[str, float]:
    """Return the CPU between two moments for each of so many things, in milliseconds."""
    return {name: 1000 * (after[name] - before[name]) / count for name in after}


def _pace(door: Door, at_once: int) -> Pace:
    before = door.cpu()
    said = ask(door, at_once=at_once, count=LEVELS[at_once], seconds=MOST_S)
    done = round(said["done"])
    used = cpu_ms(before, door.cpu(), done)
    return Pace(door.who, at_once, done, said["seconds"], said["p50_ms"], said["p99_ms"], used)
