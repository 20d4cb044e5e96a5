"""One question to a model, round whatever fails: the next way at once, as long as the budget allows.

Every step is a call with an attempt row of its own. What cannot go on here goes back to the database,
with its reason.
"""

import asyncio
from functools import partial

from shared.dialects.withheld import is_withheld
from shared.inference.dialect import Operation
from shared.inference.response import InferenceResponse
from shared.jobs import attempt_store
from shared.jobs.draft import OnUnknown
from shared.jobs.transitions import Reason
from shared.routing.model import Failure
from workers.attempt.admit import Admission, MustWait, admit
from workers.attempt.difficulty import Judge, facts_for, judge_of
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.race import Race
from workers.attempt.retry import CallFailed, GiveUp
from workers.attempt.road import Road, road_of
from workers.attempt.send import send
from workers.attempt.settle import Trial
from workers.attempt.stage import Stage
from workers.resources import WorkerResources


async def call(
    hold: Hold, work: Work, resources: WorkerResources, *, judge: Judge | None = None
) -> InferenceResponse:
    """Return an answer of the job's model, or of its `judge`. How each call ended is in `hold.calls`.

    Raises:
        MustWait: nothing has room, or all is left alone.
        NothingFits: no deployment meets the request's needs.
        ClaimLost: the job is no longer ours to send.
        CallFailed: nothing was left to go on with; limiter and breakers know already.
    """
    hold.answered = False
    await hold.settled()
    route = await resources.route(hold.job.model if judge is None else judge.model)
    ask = partial(_asked, hold, resources)
    asked = judge_of(hold.job, route, ask) if judge is None else None
    facts, cost = await facts_for(hold.job, work, route, resources, asked)
    if hold.stop is not None:
        # A classifier's answer was there when we were stopped, so we were let go on; but no further.
        raise asyncio.CancelledError
    hold.answered = False
    road = road_of(hold.job, route, facts, cost, resources)
    if judge is not None:
        road.budget = judge.within(road.budget)
    elif asked is not None:
        # One budget for both: what failed on the way to who is asked has failed for the job.
        road.spend(asked.failures)
    if hold.job.failures and len(road.ways) > 1 and work.document is None:
        async with resources.database.looking() as db:
            road.recall(await attempt_store.failures(db, hold.job))
    try:
        return await _Tries(hold, work, road, resources).run()
    finally:
        failures = road.budget.spent - hold.job.failures
        hold.failures = max(hold.failures, failures)
        if judge is not None:
            judge.failures = failures


class _Tries:
    def __init__(self, hold: Hold, work: Work, road: Road, resources: WorkerResources) -> None:
        self._hold = hold
        self._work = work
        self._road = road
        self._resources = resources
        self._stage = Stage(hold, resources, holds_back=len(road.ways) > 1)
        self._withheld: InferenceResponse | None = None

    async def run(self) -> InferenceResponse:
        while True:
            try:
                admission = await admit(self._hold, self._road, self._resources)
                answer = await self._answer_of(admission)
            except (MustWait, CallFailed):
                if self._withheld is None:
                    raise
                return self._withheld
            if answer is not None and not self._seeks_another(answer, admission):
                return answer

    async def _answer_of(self, admission: Admission) -> InferenceResponse | None:
        """Return an answer; None where there was none, and somebody else is to be asked."""
        try:
            return await self._ask(admission)
        except CallFailed as failure:
            if not self._leads_on(failure):
                raise self._road.verdict() from failure
            lost = admission.target.deployment
            self._resources.metrics.fell_back(lost, failure.kind or "")
            return None

    def _seeks_another(self, answer: InferenceResponse, admission: Admission) -> bool:
        """Tell whether somebody else is to be asked, because a filter withheld the answer."""
        road, work = self._road, self._work
        wanted = Failure.CONTENT_FILTERED in road.route.fallback_on
        # A stream was told while it came; and most answers need not be looked at.
        if not wanted or work.streams or work.operation is not Operation.GENERATE:
            return False
        if not is_withheld(work.dialect, answer.body):
            return False
        self._withheld = self._withheld or answer
        road.leave(admission.target, Failure.CONTENT_FILTERED)
        road.spend(1)
        if not road.open or road.budget.over:
            return False
        self._hold.answered = False
        self._resources.metrics.fell_back(admission.target.deployment, Failure.CONTENT_FILTERED)
        return True

    async def _ask(self, admission: Admission) -> InferenceResponse:
        if not self._is_watched:
            return await self._send(self._trial(admission))
        race = Race(self._road, self._stage, self._trial, self._send, self._resources)
        return await race.run(self._hold, admission)

    async def _send(self, trial: Trial) -> InferenceResponse:
        try:
            return await send(trial, self._work, self._stage)
        except CallFailed as failure:
            self._road.note(failure, trial.admission.target)
            raise

    def _trial(self, admission: Admission) -> Trial:
        return Trial(self._hold, admission, self._road.budget, self._resources)

    @property
    def _is_watched(self) -> bool:
        route, job = self._road.route, self._hold.job
        wanted = route.first_token_s is not None and Failure.SLOW_FIRST_TOKEN in route.fallback_on
        # A second call may be billed as well as the first: not every job wants that.
        return wanted and self._work.streams and job.on_unknown != OnUnknown.FAIL

    def _leads_on(self, failure: CallFailed) -> bool:
        decision = failure.decision
        if isinstance(decision, GiveUp) and decision.reason is Reason.UNKNOWN_OUTCOME:
            return False
        # What was told to a client cannot be taken back: nothing takes its place.
        unsaid = self._stage.speaker is None
        return unsaid and self._hold.time_left_s > 0 and self._road.leads_on(failure)


async def _asked(
    hold: Hold, resources: WorkerResources, judge: Judge, work: Work
) -> InferenceResponse:
    return await call(hold, work, resources, judge=judge)
