"""The soak: a pile of lines, a provider with its moods, and processes that die at random the whole time.

`make test` runs it with two thousand lines; `make soak` with fifty thousand.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import pile_oracle
from tests.faults.piles import hand_over, line, texts
from tests.faults.service import Service

UNLUCKY = 50
"""Every so manieth line fails at first: two in a hundred."""
ALIKE = 5
"""So many of them share their failures: even if one has them all, it has attempts left."""
SLOWNESS_MS = (120, 170, 230, 280)
MOST_S = 1080
SMALL = 2000
SMALL_EVERY_S, LARGEST_EVERY_S, LARGEST = (0.5, 1.5), (5.0, 20.0), 50_000
SMALL_ACTS = 5
"""On a busy machine a worker is killed before it has done anything, so that would go on for ever."""
PATIENT = {"QUARANTINE_AFTER": "100"}
"""A line that happens to be in hand at three kills is no poison here."""


def test_nothing_is_lost_and_nothing_is_doubled(
    service: Service, soak_lines: int, record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    record_property("seed", seed)
    _set_moods(service, soak_lines)
    service.scheduler.stop()
    service.scheduler.start(**PATIENT)
    pile = hand_over(service.client, _lines(service, soak_lines))
    pile.follow()
    began = time.monotonic()

    every_s, most = SMALL_EVERY_S, float(SMALL_ACTS)
    if soak_lines > SMALL:
        shortest_s, longest_s = (each * soak_lines / LARGEST for each in LARGEST_EVERY_S)
        every_s, most = (shortest_s, longest_s), math.inf

    with _havoc(service, chance, every_s, most) as done:
        shown = pile.wait(within_s=MOST_S)

    pile.stop()
    took = time.monotonic() - began
    print(f"{soak_lines} lines in {took:.0f} s with {done}, seed {seed}: {shown['counts']}")  # noqa: T201
    assert shown["status"] == "completed"
    assert shown["counts"]["completed"] == soak_lines
    assert len(done) >= 3, "something has to go wrong for this to say anything"
    pile_oracle.check(service, pile)


def _set_moods(service: Service, number: int) -> None:
    groups = math.ceil(number / UNLUCKY / ALIKE)
    service.upstream.script(
        *(
            rule("status", marker=f"-unlucky{each}-", status=500, times=ALIKE)
            for each in range(groups)
        ),
        *(rule("ok", marker=f"-{each}ms-", delay_ms=each) for each in SLOWNESS_MS),
    )


def _lines(service: Service, number: int) -> Iterator[dict[str, object]]:
    for n, (custom_id, text) in enumerate(texts(service.client, number, "soak")):
        mood = f"-unlucky{n // UNLUCKY // ALIKE}-" if n % UNLUCKY == 0 else "-"
        slow = SLOWNESS_MS[n % len(SLOWNESS_MS)]
        yield line(custom_id, f"{mood}{slow}ms-{text}", max_attempts=8)


@contextmanager
def _havoc(
    service: Service, chance: random.Random, every_s: tuple[float, float], most: float
) -> Iterator[list[str]]:
    """Kill something every now and then, and start it again a moment later."""
    over, done = threading.Event(), list[str]()
    acts = {"worker": _kill_worker, "scheduler": _kill_scheduler, "redis": _restart_redis}

    def rage() -> None:
        while not over.wait(chance.uniform(*every_s)) and len(done) < most:
            name = chance.choice(["worker", "worker", "scheduler", "redis"])
            done.append(name)
            acts[name](service, chance)

    thread = threading.Thread(target=rage, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


def _kill_worker(service: Service, chance: random.Random) -> None:
    service.crash_worker()
    time.sleep(chance.uniform(0, 0.5))
    service.worker.start()


def _kill_scheduler(service: Service, chance: random.Random) -> None:
    service.scheduler.kill()
    time.sleep(chance.uniform(0, 0.5))
    service.scheduler.start(**PATIENT)


def _restart_redis(service: Service, chance: random.Random) -> None:
    service.redis.kill()
    time.sleep(chance.uniform(0, 0.5))
    service.redis.start()


@pytest.fixture
def soak_lines(request: pytest.FixtureRequest) -> int:
    """How many lines: the option of `make soak`, else what fits among the other tests."""
    return int(request.config.getoption("--soak-lines"))
