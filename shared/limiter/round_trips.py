"""The limiter's conversation with Redis: what is asked in one tick goes in one round trip.

A call is *asked* (its caller waits, and hears when Redis is down) or *owed* (it must happen some
time: kept in memory while Redis is down, sent in order when it is back).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from shared.limiter.scripts import Script

ROUND = 256  # calls in one round trip: enough to share its cost, few enough to answer in a moment
QUIET_S = 0.5  # after a failure nobody knocks for so long
# Answers that tell of Redis's state, not of our call: as a type, or as words from inside a script.
OUTAGES = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError)
WORDS_OF_OUTAGE = ("READONLY ", "OOM ", "MISCONF ", "NOREPLICAS ")

Reply = list[int]


class RedisDownError(RedisError):
    """Redis does not answer, or answers that it cannot decide now."""

    def __init__(self) -> None:
        super().__init__("Redis does not answer, or cannot decide now")


def _new_future() -> asyncio.Future[Reply]:
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Call:
    """One script call; `done` gets its reply, or an empty one when it is kept for later.

    `undo` is owed when the call was admitted (reply `[1]`) but its caller had gone; `late` is a
    reply that came when it was going.
    """

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | int, ...]
    owed: bool = False
    undo: "Call | None" = None
    late: Reply | None = None
    done: asyncio.Future[Reply] = field(default_factory=_new_future)


class RoundTrips:
    """Sends calls in the order given, one pipeline under way at a time.

    `clock` replaces Redis's own (in µs, for tests); `most_owed` bounds what is kept in memory:
    beyond it the oldest is dropped and counted, and its lease ends by itself.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        timeout_s: float,
        most_owed: int,
        clock: Callable[[], int] | None,
    ) -> None:
        self._redis = redis
        self._timeout_s = timeout_s
        self._most_owed = most_owed
        self._clock = clock
        self._waiting: deque[Call] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._quiet_until: float | None = None
        self.dropped = 0

    @property
    def owed(self) -> int:
        """How many calls wait for Redis to come back."""
        return sum(call.owed for call in self._waiting)

    async def ask(self, call: Call) -> Reply:
        """Send and wait for the reply.

        Raises:
            RedisDownError: there is none; the call may have happened all the same.
            ResponseError: the script is wrong.
        """
        if self._is_quiet():
            raise RedisDownError
        self._send_soon(call)
        return await call.done

    def abandon(self, call: Call, *, undo: Call) -> None:
        """Nobody waits for an asked call any more: owe `undo` if it was, or will be, admitted."""
        if call.late == [1]:
            self._owe_soon(undo)
        elif call.done.cancelled():
            call.undo = undo
        elif call.done.done() and call.done.exception() is None and call.done.result() == [1]:
            self._owe_soon(undo)

    async def owe(self, call: Call) -> None:
        """Send, and wait until it has happened or is kept for later."""
        await self.owe_soon(call)

    def owe_soon(self, call: Call) -> asyncio.Future[Reply]:
        """Send, before whatever is asked from now on; the future is done as `owe` is."""
        self._owe_soon(call)
        return call.done

    async def flush(self) -> int:
        """Try now to send what is owed; return how many calls still wait."""
        self._quiet_until = None
        if self._waiting or (self._pump is not None and not self._pump.done()):
            # What is under way now is owed as well until it has arrived.
            await asyncio.wait((self._started(),))
        return self.owed

    def _is_quiet(self) -> bool:
        return self._quiet_until is not None and time.monotonic() < self._quiet_until

    def _owe_soon(self, call: Call) -> None:
        call.owed = True
        if self._is_quiet():
            self._keep([call])
        else:
            self._send_soon(call)

    def _send_soon(self, call: Call) -> None:
        self._waiting.append(call)
        self._pump = self._started()

    def _started(self) -> asyncio.Task[None]:
        # A task starts in the loop's next round: by then every call of this one is waiting.
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._run())
        return self._pump

    async def _run(self) -> None:
        # Whoever is called because of what is owed asks in this turn of the loop: one trip for both.
        await asyncio.sleep(0)
        while batch := self._next_batch():
            try:
                async with asyncio.timeout(self._timeout_s):
                    replies = await self._exchange(batch)
            except BaseException as error:
                # Whatever it is, nobody may be left waiting for a pump that has stopped.
                self._go_quiet(batch)
                if isinstance(error, (RedisError, OSError, TimeoutError)):
                    return
                raise
            self._quiet_until = None
            undecided = [
                call
                for call, reply in zip(batch, replies, strict=True)
                if not self._answer(call, reply)
            ]
            if undecided:
                # A primary that became a replica refuses for as long as its connections are kept.
                with suppress(RedisError, OSError):
                    await self._redis.connection_pool.disconnect(inuse_connections=False)
                self._go_quiet(undecided)
                return

    def _next_batch(self) -> list[Call]:
        batch: list[Call] = []
        while self._waiting and len(batch) < ROUND:
            call = self._waiting.popleft()
            if call.owed or not call.done.cancelled():
                batch.append(call)
        return batch

    async def _exchange(self, batch: Sequence[Call]) -> list[Reply | ResponseError]:
        replies = await self._send(batch)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            await self._load({batch[n].script for n in unknown})
            again = await self._send([batch[n] for n in unknown])
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies

    async def _send(self, batch: Sequence[Call]) -> list[Reply | ResponseError]:
        now = self._clock() if self._clock else ""
        if len(batch) == 1:
            # A pipeline of one costs three times as much.
            return [await self._send_one(batch[0], now)]
        async with self._redis.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.execute_command(*_command(call, now))
            replies: list[Reply | ResponseError] = await pipe.execute(raise_on_error=False)
            return replies

    async def _send_one(self, call: Call, now: object) -> Reply | ResponseError:
        run = cast("Callable[..., Awaitable[Reply]]", self._redis.execute_command)
        try:
            return await run(*_command(call, now))
        except ResponseError as error:
            return error

    async def _load(self, scripts: set[Script]) -> None:
        for script in scripts:
            await self._redis.script_load(script.text)

    def _answer(self, call: Call, reply: Reply | ResponseError) -> bool:
        """Hand the reply over; False when Redis could not decide."""
        if isinstance(reply, ResponseError):
            if isinstance(reply, OUTAGES) or any(word in str(reply) for word in WORDS_OF_OUTAGE):
                return False
            if not call.done.done():
                call.done.set_exception(reply)
        elif not call.done.done():
            call.done.set_result(reply)
        elif call.undo is None:
            # Its caller is cancelled already, and will learn of that in its next step only.
            call.late = reply
        elif reply == [1]:
            self._owe_soon(call.undo)
        return True

    def _go_quiet(self, batch: Sequence[Call]) -> None:
        self._quiet_until = time.monotonic() + QUIET_S
        calls = [*batch, *self._waiting]
        self._waiting.clear()
        for call in calls:
            if not call.owed and not call.done.done():
                call.done.set_exception(RedisDownError())
        self._keep([call for call in calls if call.owed])

    def _keep(self, calls: Sequence[Call]) -> None:
        self._waiting.extend(calls)
        for call in calls:
            if not call.done.done():
                call.done.set_result([])
        while len(self._waiting) > self._most_owed:
            self._waiting.popleft()
            self.dropped += 1


def _command(call: Call, now: object) -> tuple[Any, ...]:
    return ("EVALSHA", call.script.sha, len(call.keys), *call.keys, now, *call.arguments)
