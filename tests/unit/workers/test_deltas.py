"""Chunks on their way to the log: at once where somebody waits, together where nobody does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
import redis
from typing_extensions import override

from shared.events.deltas import Delta, DeltaLog
from workers.attempt import deltas as module
from workers.attempt.deltas import DeltaWriter, JobDeltas

LONG_S = 3600.0


class Log(DeltaLog):
    """Remembers the groups appended; `away` refuses them, `gate` holds them up."""

    def __init__(self) -> None:
        self.groups: list[list[Delta]] = []
        self.away = False
        self.tries = 0
        self.gate = asyncio.Event()
        self.gate.set()

    @override
    async def append(self, deltas: Sequence[Delta]) -> None:
        self.tries += 1
        await self.gate.wait()
        if self.away:
            raise redis.ConnectionError("away")
        if deltas:
            self.groups.append(list(deltas))

    def of(self, job_id: str) -> list[Delta]:
        return [delta for group in self.groups for delta in group if delta.job_id == job_id]

    def said(self, job_id: str) -> list[int]:
        return [chunk["n"] for delta in self.of(job_id) for chunk in orjson.loads(delta.chunks)]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def writer(log: Log) -> AsyncIterator[DeltaWriter]:
    writer = DeltaWriter(log)
    writer.start()
    yield writer
    await writer.close()


@pytest.fixture
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ticks never come by themselves."""
    monkeypatch.setattr(module, "TICK_S", LONG_S)
    monkeypatch.setattr(module, "LONGEST_TICK_S", LONG_S)


@pytest.fixture
async def calm(log: Log, no_tick: None) -> AsyncIterator[DeltaWriter]:
    """A writer whose tick never comes: what it writes, it was told to write at once."""
    writer = DeltaWriter(log)
    writer._tick_s = LONG_S
    writer.start()
    yield writer
    await writer.close()


def add(job: JobDeltas, *numbers: int, at_once: bool = False, **more: Any) -> None:
    for number in numbers:
        job.add({"n": number, **more}, at_once=at_once)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_waited_for_goes_at_once_and_the_rest_together(
    calm: DeltaWriter, log: Log
) -> None:
    job, dropped = calm.of("job_a", 4), ("seed",)
    job.dropped = dropped

    add(job, 1, at_once=True)
    await turn()
    assert log.of("job_a") == [Delta("job_a", 4, 1, b'[{"n":1}]', last=False, dropped=dropped)]

    add(job, 2, 3)
    await turn()
    assert len(log.groups) == 1

    job.flush(last=True)
    await job.written()
    rest = Delta("job_a", 4, 2, b'[{"n":2},{"n":3}]', last=True, dropped=dropped)
    assert log.of("job_a")[1:] == [rest]


async def test_one_tick_writes_all_streams_in_one_round_trip(writer: DeltaWriter, log: Log) -> None:
    jobs = [writer.of(f"job_{number}", 2) for number in range(100)]

    for number in range(3):
        for job in jobs:
            add(job, number)
    await asyncio.gather(*(job.written() for job in jobs))

    (group,) = log.groups
    assert {delta.job_id for delta in group} == {f"job_{number}" for number in range(100)}
    assert log.said("job_7") == [0, 1, 2]


async def test_a_stream_that_waits_does_not_make_the_others_hurry(
    calm: DeltaWriter, log: Log
) -> None:
    quiet, eager = calm.of("job_quiet", 2), calm.of("job_eager", 2)

    add(quiet, 1)
    add(eager, 1, at_once=True)
    await turn()

    assert log.said("job_eager") == [1]
    assert log.said("job_quiet") == []


async def test_a_full_stream_does_not_wait_for_the_tick(calm: DeltaWriter, log: Log) -> None:
    job = calm.of("job_a", 2)

    add(job, 1, 2, 3, 4, text="x" * 5_000)
    await turn()

    assert log.said("job_a") == [1, 2, 3, 4]


async def test_numbers_go_on_over_the_calls_of_a_claim(calm: DeltaWriter, log: Log) -> None:
    job = calm.of("job_a", 6)

    for call in (1, 2):
        add(job, 10 * call, at_once=True)
        await turn()
        add(job, 10 * call + 1)
        job.flush(last=call == 2)
        await job.written()

    assert [(delta.number, delta.last) for delta in log.of("job_a")] == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]
    assert log.said("job_a") == [10, 11, 20, 21]


async def test_an_end_is_told_even_when_nothing_is_left_to_say(calm: DeltaWriter, log: Log) -> None:
    job = calm.of("job_a", 2)
    add(job, 1, at_once=True)
    await job.written()

    job.flush(last=True)
    await job.written()

    assert log.of("job_a")[1] == Delta("job_a", 2, 2, b"[]", last=True)


async def test_a_call_that_said_nothing_and_failed_writes_nothing(
    calm: DeltaWriter, log: Log
) -> None:
    job = calm.of("job_a", 2)

    job.flush(last=False)
    await job.written()
    await turn()

    assert log.tries == 0


async def test_what_comes_while_a_write_is_under_way_comes_behind_it(
    writer: DeltaWriter, log: Log
) -> None:
    job = writer.of("job_a", 2)
    log.gate.clear()

    add(job, 1, at_once=True)
    await turn()
    add(job, 2, 3)
    job.flush(last=True)
    await turn()
    log.gate.set()
    await job.written()

    assert log.said("job_a") == [1, 2, 3]
    assert [delta.last for delta in log.of("job_a")] == [False, True]


async def test_while_redis_is_away_chunks_wait_and_come_in_order(
    writer: DeltaWriter, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    one, other = writer.of("job_a", 2), writer.of("job_b", 2)
    log.away = True

    for number in range(1, 101):
        add(one, number, at_once=True)
        add(other, number)
        await asyncio.sleep(0)
    await asyncio.sleep(0.03)
    tries = log.tries
    log.away = False
    one.flush(last=True)
    await asyncio.gather(one.written(), other.written())

    assert 1 < tries < 10, "it tries again, but not with every chunk"
    assert log.said("job_a") == log.said("job_b") == list(range(1, 101))
    for job_id in ("job_a", "job_b"):
        numbers = [delta.number for delta in log.of(job_id)]
        assert numbers == list(range(1, len(numbers) + 1))
    assert log.of("job_a")[-1].last
    assert writer.held_bytes == 0


async def test_too_much_to_keep_leaves_a_gap_that_readers_see(
    writer: DeltaWriter, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    monkeypatch.setattr(module, "MOST_BYTES", 1_000)
    job = writer.of("job_a", 2)
    add(job, 0, at_once=True)
    await job.written()
    log.away = True

    add(job, *range(1, 6), text="x" * 400)
    assert writer.held_bytes <= 1_000
    log.away = False
    add(job, 6)
    await job.written()

    numbers = [delta.number for delta in log.of("job_a")]
    assert numbers[0] == 1
    assert any(later > earlier + 1 for earlier, later in pairwise(numbers))
    assert log.said("job_a")[0] == 0
    assert log.said("job_a")[-1] == 6
    assert writer.held_bytes == 0


async def test_all_streams_together_are_bounded(
    calm: DeltaWriter, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES_OF_ALL", 50_000)

    for number in range(100):
        add(calm.of(f"job_{number}", 2), 1, text="x" * 1_000)

    assert 40_000 < calm.held_bytes <= 50_000


async def test_nobody_waits_long_for_a_log_that_hangs(
    writer: DeltaWriter, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.02)
    job = writer.of("job_a", 2)
    log.gate.clear()

    add(job, 1, at_once=True)
    job.flush(last=True)
    async with asyncio.timeout(5):
        await job.written()

    assert log.groups == []


async def test_closing_writes_what_is_held(log: Log) -> None:
    writer = DeltaWriter(log)
    writer.start()
    job = writer.of("job_a", 2)
    add(job, 1, 2)

    await writer.close()

    assert log.said("job_a") == [1, 2]


async def test_many_streams_make_the_tick_longer(writer: DeltaWriter, log: Log) -> None:
    jobs = [writer.of(f"job_{number}", 2) for number in range(300)]
    assert writer._tick_s == module.TICK_S

    for job in jobs:
        add(job, 1)
    await asyncio.gather(*(job.written() for job in jobs))

    assert module.TICK_S < writer._tick_s <= module.LONGEST_TICK_S
