"""Reading a batch: every input is checked, then stored, from wherever anybody has left it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from shared.batches import input_store
from shared.batches.model import BatchState
from shared.batches.seen import Seen
from shared.batches.store import TAKING
from shared.database import Row
from shared.resources import Resources
from workers.batches.checking import Findings, check, conclude
from workers.batches.storing import Storing
from workers.batches.work import FIRST_INPUT, Overtaken, Work

MOST_NAMES_KEPT = 16


class Names:
    """The custom ids of open batches, so that what is added to them need not be compared by reading."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, Seen]] = OrderedDict()

    def take(self, batch_id: str, number: int) -> Seen | None:
        """Return the names in all inputs before this one; None when they are not at hand."""
        known, seen = self._kept.pop(batch_id, (FIRST_INPUT, Seen()))
        return seen if known == number else None

    def keep(self, batch_id: str, number: int, seen: Seen) -> None:
        """Remember the names in all inputs before this one."""
        self._kept[batch_id] = (number, seen)
        if len(self._kept) > MOST_NAMES_KEPT:
            self._kept.popitem(last=False)


class Expansion:
    """Reads one batch; `pairing` is the one lock of all that coalesce."""

    def __init__(
        self, resources: Resources, batch_id: str, names: Names, pairing: asyncio.Lock
    ) -> None:
        self._resources = resources
        self._batch_id = batch_id
        self._names = names
        self._pairing = pairing
        self._found: tuple[int, Findings] | None = None

    async def run(self) -> AsyncIterator[None]:
        """Read until there is nothing more to read; pause after every little piece."""
        while work := await self._next():
            try:
                async for _ in self._go_on(work):
                    yield
            except Overtaken:
                self._found = None
            yield

    async def _next(self) -> Work | None:
        batch, inputs = await self._look()
        rest = [each for each in inputs if not each["stored"]]
        if batch is None or not rest:
            return None
        if not _is_read_on(batch, rest[0]):
            await self._leave()
            return None
        return Work(self._resources, batch, rest[0], _first_line(inputs, rest[0]))

    async def _look(self) -> tuple[Row | None, list[Row]]:
        async with self._resources.database.reading() as db:
            batch = await input_store.batch(db, self._batch_id)
            return batch, list(await input_store.inputs(db, self._batch_id))

    async def _leave(self) -> None:
        async with self._resources.database.transaction() as db:
            missing = await input_store.leave(db, self._batch_id)
            if missing:
                await input_store.lower_total(db, self._batch_id, missing)

    async def _go_on(self, work: Work) -> AsyncIterator[None]:
        if not work.input["checked"]:
            found = Findings()
            async for _ in self._find(work, found):
                yield
            await self._conclude(work, found)
            return
        known = self._found
        if known is not None and known[0] == work.number:
            found = known[1]
        else:
            found = Findings(kept=None)
            # What was found wrong is to be left out again, and nobody has written down what.
            if work.batch["invalid"]:
                async for _ in self._find(work, found):
                    yield
        storing = Storing(work, found.skipped, pairing=self._pairing)
        async for _ in storing.store(found.kept):
            yield
        self._found = None

    async def _conclude(self, work: Work, found: Findings) -> None:
        if await conclude(work, found):
            self._found = (work.number, found)
        else:
            # Lines that were left out keep no others from their names.
            self._names.take(self._batch_id, work.number)

    async def _find(self, work: Work, found: Findings) -> AsyncIterator[None]:
        seen = self._names.take(self._batch_id, work.number)
        if seen is None:
            seen = Seen()
            async for _ in self._remember(work, seen):
                yield
        async for _ in check(work, seen, found):
            yield
        if work.batch["open"]:
            self._names.keep(self._batch_id, work.number + 1, seen)

    async def _remember(self, work: Work, seen: Seen) -> AsyncIterator[None]:
        """Read the names in what was stored before."""
        _, inputs = await self._look()
        for each in inputs:
            if each["number"] < work.number and each["stored_jobs"]:
                earlier = Work(self._resources, work.batch, each, each["first_line"])
                async for _ in check(earlier, seen, Findings(kept=None)):
                    yield


def _is_read_on(batch: Row, given: Row) -> bool:
    # What was found right has an outcome, and be it that it was cancelled: no line is passed over.
    is_cancelled = batch["state"] == BatchState.CANCELLING and given["checked"]
    return is_cancelled or batch["state"] in TAKING


def _first_line(inputs: list[Row], this: Row) -> int:
    """Count on where the input before ends."""
    if this["checked"]:
        return int(this["first_line"])
    before = [each for each in inputs if each["number"] < this["number"]]
    return int(before[-1]["first_line"] + before[-1]["stored_lines"]) if before else 1
