"""Many small writes, one transaction: the group commit that keeps a job cheap."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database, is_unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Write = Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Result | Exception]]]

log = structlog.get_logger()

BUSY_GROUP = 4
RETRY_S = 0.5


class GroupCommit(Generic[Item, Result]):
    """Collect what is added while a transaction runs, and write it all in the next one.

    Alone, an item is written at once. Under load the group waits `linger_s` to grow.
    An item for which `write` returns an exception fails alone. When the whole transaction
    fails, its items are tried one by one, so that one that cannot be written hurts no other.
    When the database is out of reach, the group is tried again until `patience_s` is over.
    """

    def __init__(
        self,
        database: Database,
        write: Write[Item, Result],
        *,
        max_group: int = 256,
        linger_s: float = 0.01,
        patience_s: float = 0.0,
        durable: bool = True,
    ) -> None:
        self._database = database
        self._write = write
        self._max_group = max_group
        self._linger_s = linger_s
        self._patience_s = patience_s
        self._durable = durable
        self._pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Result:
        """Write one item; return what `write` returned for it, after the commit.

        Raises:
            Exception: what `write` returned or raised for this item.
        """
        if self._task is None or self._task.done():
            # A context of its own: its log lines must not bear the ids of whoever came first.
            run = self._run()
            self._task = asyncio.create_task(run, name="group-commit", context=Context())
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.append((item, future))
        self._wake.set()
        return await future

    async def close(self) -> None:
        """Write what is pending, then stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        last_size = 0
        while self._pending or not self._closing:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            if last_size > BUSY_GROUP and len(self._pending) < self._max_group:
                await asyncio.sleep(self._linger_s)
            group = self._pending[: self._max_group]
            del self._pending[: self._max_group]
            last_size = len(group)
            await self._commit(group)

    async def _commit(self, group: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._commit_patiently([item for item, _ in group])
        except Exception as error:  # noqa: BLE001  it becomes the answer of each item
            if len(group) > 1 and not is_unavailable(error):
                log.warning("group_commit.one_by_one", items=len(group), error=repr(error)[:500])
                for pair in group:
                    await self._commit([pair])
                return
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            _resolve(future, result)

    async def _commit_patiently(self, items: list[Item]) -> Sequence[Result | Exception]:
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while True:
            try:
                async with self._database.transaction(durable=self._durable) as db:
                    return await self._write(db, items)
            except Exception as error:
                late = asyncio.get_running_loop().time() >= deadline
                if late or not is_unavailable(error):
                    raise
                await asyncio.sleep(RETRY_S)


def _resolve(future: "asyncio.Future[Result]", result: "Result | Exception") -> None:
    # Whoever asked may be gone; the write stands all the same.
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
