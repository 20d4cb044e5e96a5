"""Delivering webhooks: messages name targets, and each gets turns in which its due ones are sent."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from shared.webhooks.delivery import Sender
from shared.webhooks.egress import Guard, open_session
from shared.webhooks.secrets import SecretBox
from workers.delivery.desk import Desk
from workers.delivery.lanes import Lane, Lanes
from workers.delivery.turn import Turn
from workers.resources import WorkerResources

log = structlog.get_logger()

CONNECTIONS = 512
LETTING_GO_S = 2.0


class Deliverer:
    """Gives targets their turns; one per worker process, on the runner's loop.

    `has_room` is read from other threads; everything else stays on the loop.
    """

    def __init__(self, desk: Desk, *, at_once: int) -> None:
        self._desk = desk
        self._at_once = at_once
        self._lanes = Lanes()
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._having: dict[str, Turn] = {}
        self._again: set[str] = set()
        self._draining = False

    @property
    def has_room(self) -> bool:
        """Tell whether more targets may be named."""
        return not self._draining and self._lanes.has_room

    async def take(self, targets: Sequence[str]) -> None:
        """Look for what is due to these targets; where somebody is at it, once more after that."""
        for target in targets:
            if target in self._turns:
                self._again.add(target)
                self._having[target].look_again()
            else:
                self._lanes.line_up(target)
        self._begin_turns()

    async def drain(self, grace_s: float) -> None:
        """Begin no try any more, let those under way end for the grace time, let go of the rest."""
        self._draining = True
        turns = list(self._turns.values())
        if turns:
            _, late = await asyncio.wait(turns, timeout=grace_s)
            for turn in late:
                turn.cancel()
            if late:
                await asyncio.wait(late, timeout=LETTING_GO_S)

    async def idle(self) -> None:
        """Wait until no target has its turn or waits for it."""
        while self._turns:
            await asyncio.wait(list(self._turns.values()))

    def _begin_turns(self) -> None:
        for lane in (self._lanes.quick, self._lanes.slow):
            while not self._draining and (target := lane.next()) is not None:
                turn = Turn(
                    target,
                    self._desk,
                    self._lanes.paces,
                    lane.places,
                    at_once=self._at_once,
                    draining=lambda: self._draining,
                )
                task = asyncio.create_task(
                    self._give_turn(target, turn, lane), name=f"webhooks {target}"
                )
                self._turns[target], self._having[target] = task, turn

    async def _give_turn(self, target: str, turn: Turn, lane: Lane) -> None:
        more = False
        try:
            more = await turn.run()
        except Exception:
            # Its claims run out, and the scheduler names it again.
            log.exception("webhook.turn_crashed", target=target)
        finally:
            del self._turns[target], self._having[target]
            lane.running -= 1
            if more or target in self._again:
                self._again.discard(target)
                self._lanes.line_up(target)
            self._begin_turns()


@asynccontextmanager
async def open_deliverer(resources: WorkerResources) -> AsyncIterator[Deliverer]:
    """Open the deliverer of a worker process, with an HTTP client of its own."""
    settings = resources.settings
    guard = Guard(allow_private=settings.webhook_allow_private)
    session = open_session(guard, at_once=CONNECTIONS)
    desk = Desk(
        resources.database,
        settings,
        Sender(session, guard, timeout_s=settings.webhook_timeout_s),
        SecretBox(resources.shared.secret_key),
        owner=resources.owner,
    )
    try:
        yield Deliverer(desk, at_once=settings.webhook_at_once)
    finally:
        await desk.close()
        await session.close()
