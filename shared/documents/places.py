"""So many at a time, but who takes long steps aside for the next one, and so many may do that."""

import asyncio
from types import TracebackType
from typing import Self


class Places:
    """`count` places, and as many again for those who have held one for longer than `slow_s`."""

    def __init__(self, count: int, slow_s: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._aside_free = count
        self._slow_s = slow_s

    def one(self) -> "Place":
        """Return a place to wait for, hold and leave as a context."""
        return Place(self)

    async def take(self) -> None:
        """Wait for a place."""
        await self._free.acquire()

    def leave(self, *, aside: bool) -> None:
        """Free a place for good."""
        if aside:
            self._aside_free += 1
        else:
            self._free.release()

    def step_aside(self) -> bool:
        """Free a place for the next one, if not too many have done so."""
        if not self._aside_free:
            return False
        self._aside_free -= 1
        self._free.release()
        return True

    def watch(self, place: "Place") -> asyncio.TimerHandle:
        """Have a place step aside when its holder turns out to be slow."""
        return asyncio.get_running_loop().call_later(self._slow_s, place.grow_late)


class Place:
    """One place of `Places`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._timer: asyncio.TimerHandle | None = None
        self._aside = False

    async def __aenter__(self) -> Self:
        """Wait for it."""
        await self._places.take()
        self._timer = self._places.watch(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave it."""
        if self._timer is not None:
            self._timer.cancel()
        self._places.leave(aside=self._aside)

    def grow_late(self) -> None:
        """Step aside, or try again later."""
        self._aside = self._places.step_aside()
        if not self._aside:
            self._timer = self._places.watch(self)
