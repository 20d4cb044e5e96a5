"""A stream whose first token is late: another deployment is asked instead, or as well.

Never more than two calls are under way, both admitted by the limiter. Who speaks first is told to the
client; the other is closed, and recorded with what it may cost.
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.inference.response import InferenceResponse
from shared.routing.breaker_states import Verdict
from shared.routing.model import Failure, OnSlow
from workers.attempt.admit import Admission, admit_now
from workers.attempt.hold import Hold
from workers.attempt.road import Road
from workers.attempt.settle import Closing, Trial
from workers.attempt.stage import Stage
from workers.resources import WorkerResources

ASK_AGAIN_S = 0.25
SLOW = Closing(
    "slow_first_token",
    "Its first token did not come in time: another deployment was asked.",
    Verdict.BAD,
)
OUTRUN = Closing("hedge_lost", "Another deployment that was asked as well spoke first.")

Answering = asyncio.Task[InferenceResponse]


class Race:
    """One call, and the other that may take its place."""

    def __init__(
        self,
        road: Road,
        stage: Stage,
        trial: Callable[[Admission], Trial],
        send: Callable[[Trial], Awaitable[InferenceResponse]],
        resources: WorkerResources,
    ) -> None:
        self._road = road
        self._stage = stage
        self._trial = trial
        self._send = send
        self._resources = resources
        self._running: dict[Answering, Trial] = {}

    async def run(self, hold: Hold, admission: Admission) -> InferenceResponse:
        """Return the answer of who speaks first.

        Raises:
            ClaimLost, CallFailed: as from `send`; with two under way, of the last to fail.
        """
        try:
            first = self._start(admission)
            while not self._road.budget.after(1).over:
                if await self._goes_well(first):
                    break
                other = await self._another(hold, first)
                if other is not None and self._road.route.on_slow is OnSlow.HEDGE:
                    first = self._start(other)
                    break
                if other is not None:
                    return await self._move_on(first, other)
            return await self._first_to_speak()
        finally:
            if sum(not task.done() for task in self._running) > 1:
                # Both are lost: that costs what a hedge costs, and no more.
                self._road.spend(1)
            await self._close(self._running, None)

    def _start(self, admission: Admission) -> Answering:
        trial = self._trial(admission)
        task = asyncio.create_task(_answer(self._send, trial), name="call")
        self._running[task] = trial
        return task

    async def _goes_well(self, first: Answering) -> bool:
        """Wait for the first token, or the end, for as long as the route is patient."""
        trial = self._running[first]
        waited_s = trial.elapsed_ms / 1000 if trial.began else 0.0
        patience_s = max(ASK_AGAIN_S, (self._road.route.first_token_s or 0.0) - waited_s)
        await self._news(patience_s)
        return first.done() or self._stage.speaker is not None

    async def _news(self, patience_s: float | None = None) -> None:
        """Return when a call has ended or one begins to speak."""
        spoken = asyncio.create_task(self._stage.spoken.wait())
        try:
            await asyncio.wait(
                {*self._running, spoken},
                timeout=patience_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            spoken.cancel()

    async def _another(self, hold: Hold, first: Answering) -> Admission | None:
        """Admit a call elsewhere; None where there is no room, or it is not needed any more."""
        self._road.leave(self._running[first].admission.target, Failure.SLOW_FIRST_TOKEN)
        admission = await admit_now(hold, self._road, self._resources)
        if admission is not None and (first.done() or self._stage.speaker is not None):
            await self._give_back(admission)
            return None
        return admission

    async def _move_on(self, first: Answering, other: Admission) -> InferenceResponse:
        trial = self._running[first]
        try:
            await self._close({first: trial}, SLOW)
            del self._running[first]
        except BaseException:
            await self._give_back(other)
            raise
        if not first.cancelled() and first.exception() is None:
            # It came after all, in the very moment that we closed it.
            await self._give_back(other)
            return first.result()
        target = trial.admission.target.deployment
        self._resources.metrics.fell_back(target, Failure.SLOW_FIRST_TOKEN)
        return await Race(self._road, self._stage, self._trial, self._send, self._resources).run(
            trial.hold, other
        )

    async def _first_to_speak(self) -> InferenceResponse:
        while True:
            speaker = self._stage.speaker
            ours = [task for task, its in self._running.items() if its.number == speaker]
            if ours or len(self._running) == 1:
                winner = ours[0] if ours else next(iter(self._running))
                return await self._won(winner)
            await self._news()
            for task in [each for each in self._running if each.done()]:
                if self._stage.speaker is None and len(self._running) > 1:
                    # It failed without a word: the other one is left.
                    del self._running[task]
                    task.exception()

    async def _won(self, winner: Answering) -> InferenceResponse:
        trial = self._running[winner]
        losers = {task: its for task, its in self._running.items() if task is not winner}
        if losers:
            late = min(losers.values(), key=lambda its: its.number).number < trial.number
            await self._close(losers, SLOW if late else OUTRUN)
            self._running = {winner: trial}
        return await winner

    async def _close(self, some: dict[Answering, Trial], why: Closing | None) -> None:
        open_ = [task for task in some if not task.done()]
        for task in open_:
            if why is not None:
                some[task].closing = why
                self._road.spend(1)
            task.cancel()
        if open_:
            await asyncio.wait(open_)

    async def _give_back(self, admission: Admission) -> None:
        self._resources.breakers.left(admission.passed, Verdict.NONE)
        await self._resources.limiter.release(admission.reservation)


async def _answer(
    send: Callable[[Trial], Awaitable[InferenceResponse]], trial: Trial
) -> InferenceResponse:
    return await send(trial)
