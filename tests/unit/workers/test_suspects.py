"""How jobs that outlived a worker are run: together first, alone if they outlived more."""

import asyncio
from collections.abc import Sequence

from workers.suspects import Suspects


class Runner:
    """Starts jobs that run until they are let go, and remembers who ran beside whom."""

    def __init__(self, crashes: dict[str, int]) -> None:
        self.crashes = crashes
        self.running: dict[str, asyncio.Event] = {}
        self.started: list[str] = []
        self.beside: dict[str, set[str]] = {}

    async def start(
        self, ids: Sequence[str], *, most_crashes: int | None
    ) -> Sequence[asyncio.Task[None]]:
        claimed = [
            each for each in ids if most_crashes is None or self.crashes[each] <= most_crashes
        ]
        for each in claimed:
            self.running[each] = asyncio.Event()
            self.started.append(each)
        for each in claimed:
            self.beside[each] = set(self.running) - {each}
        return [asyncio.create_task(self._work(each), name=each) for each in claimed]

    async def _work(self, job_id: str) -> None:
        await self.running[job_id].wait()
        del self.running[job_id]

    async def end_all(self) -> None:
        while self.running:
            for each in self.running.values():
                each.set()
            await turn()


async def turn() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_those_that_outlived_one_worker_run_side_by_side_within_bounds() -> None:
    runner = Runner(dict.fromkeys("abcde", 1))
    suspects = Suspects(runner.start, at_once=3)
    running = asyncio.create_task(suspects.run())
    suspects.add(list("abcde"))
    await turn()
    assert runner.started == ["a", "b", "c"]

    runner.running["b"].set()
    await turn()
    assert runner.started == ["a", "b", "c", "d"]

    await runner.end_all()
    assert runner.started == ["a", "b", "c", "d", "e"]
    running.cancel()


async def test_those_that_outlived_more_run_alone_and_last() -> None:
    runner = Runner({"x": 2, "a": 1, "y": 2, "b": 1})
    suspects = Suspects(runner.start, at_once=8)
    running = asyncio.create_task(suspects.run())
    suspects.add(list("xayb"))
    await turn()
    assert runner.started == ["a", "b"]

    suspects.add(["x"])
    await runner.end_all()
    assert runner.started == ["a", "b", "x", "y"]
    assert runner.beside["x"] == runner.beside["y"] == set()
    running.cancel()


async def test_one_that_waits_is_not_doubled() -> None:
    runner = Runner(dict.fromkeys("abc", 1))
    suspects = Suspects(runner.start, at_once=1)
    running = asyncio.create_task(suspects.run())
    for _ in range(5):
        suspects.add(list("abc"))
    await runner.end_all()
    await turn()
    await runner.end_all()
    assert sorted(runner.started) == ["a", "b", "c"]
    running.cancel()
