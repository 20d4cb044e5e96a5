"""Several calls of one job at once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from workers.attempt.admit import MustWait
from workers.attempt.retry import CallFailed, GiveUp

Answer = TypeVar("Answer")
Ask = Callable[[], Awaitable[Answer]]


async def all_of(asks: Sequence[Ask[Answer]], *, at_once: int) -> list[Answer]:
    """Return all answers, in order.

    Where the limiter has no room for one more, those under way go on alone; when none is, the job
    must wait. After a failure nothing new begins and what is under way comes to its end: it is paid.

    Raises:
        MustWait: some are left.
        Exception: the gravest failure.
    """
    return await _Several(asks).run(at_once)


class _Several(Generic[Answer]):
    def __init__(self, asks: Sequence[Ask[Answer]]) -> None:
        self._left = deque(enumerate(asks))
        self._answers: dict[int, Answer] = {}
        self._failure: Exception | None = None
        self._wait: MustWait | None = None

    async def run(self, at_once: int) -> list[Answer]:
        count = min(at_once, len(self._left))
        askers = [asyncio.create_task(self._ask_on()) for _ in range(count)]
        try:
            await asyncio.wait(askers)
        except asyncio.CancelledError:
            for asker in askers:
                asker.cancel()
            await asyncio.wait(askers)
            raise
        for asker in askers:
            asker.result()
        if self._failure is not None:
            raise self._failure
        if self._left and self._wait is not None:
            raise self._wait
        return [self._answers[number] for number in sorted(self._answers)]

    async def _ask_on(self) -> None:
        while self._left and self._failure is None:
            number, ask = self._left.popleft()
            try:
                self._answers[number] = await ask()
            except MustWait as wait:
                self._left.appendleft((number, ask))
                self._wait = wait
                return
            except Exception as error:  # noqa: BLE001  the gravest is raised once all have ended
                self._failure = _graver(self._failure, error)


def _graver(one: Exception | None, other: Exception) -> Exception:
    if one is None or _gravity(other) > _gravity(one):
        return other
    return one


def _gravity(error: Exception) -> int:
    if not isinstance(error, CallFailed):
        return 2
    return int(isinstance(error.decision, GiveUp))
