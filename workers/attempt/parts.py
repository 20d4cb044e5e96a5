"""Asking a model with a memory: what was answered before a wait or a crash is not asked again."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import orjson

from shared.documents.schema import Schema
from shared.endings import returned, whole
from shared.failpoints import failpoint
from shared.inference.response import InferenceResponse
from shared.inference.schema_patterns import steps_of
from shared.jobs import part_store
from shared.jobs.claims import AttemptEnd, PartEnd, Standing
from workers.attempt import check
from workers.attempt.call import call
from workers.attempt.check import Checked
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.attempt.send import ClaimLost
from workers.resources import WorkerResources

OK = 200
ROUNDS = 2


class Parts:
    """The answers that a job has so far. Step `n` has the numbers 2n and, for its repair, 2n + 1."""

    def __init__(self, hold: Hold, resources: WorkerResources, known: Mapping[int, bytes]) -> None:
        self._hold = hold
        self._resources = resources
        self._known = known

    @classmethod
    async def of(cls, hold: Hold, resources: WorkerResources) -> "Parts":
        """Read what earlier claims of the job have kept."""
        if hold.job.claim_number == 1:
            return cls(hold, resources, {})
        async with resources.database.reading() as db:
            return cls(hold, resources, await part_store.load(db, hold.job))

    async def ask(
        self, step: int, work: Work, schema: Schema, *, keep: bool = True, what: str = ""
    ) -> Checked:
        """Return an answer that fits the schema; one that does not is sent back once.

        With `keep` false only an answer that does not fit is kept: the other one ends the job.
        `what` names the step in the error, with a space before.

        Raises:
            Unworkable: the second answer does not fit either.
            MustWait, ClaimLost, CallFailed: as from `call`.
        """
        checked = await self._checked(step * ROUNDS, work, schema, keep=keep)
        if not checked.problems:
            return checked
        again = check.repair(work, checked)
        checked = await self._checked(step * ROUNDS + 1, again, schema, keep=keep)
        if checked.problems:
            raise check.mismatch(checked, what=what)
        return replace(checked, repaired=True)

    async def _checked(self, number: int, work: Work, schema: Schema, *, keep: bool) -> Checked:
        asked = sha256(orjson.dumps(work.body)).hexdigest().encode()
        known = self._answer_to(asked, number)
        if known is not None:
            return await _judged(known, schema)
        if self._hold.stop is not None:
            # An answer was there when we were stopped, so we were let go on; but no further.
            raise asyncio.CancelledError
        answer = await call(self._hold, work, self._resources)
        # Nothing can have come between: it is the end of this very call.
        end = self._hold.calls[-1]
        # Nor may another part's next call take it along: it is counted where it is kept.
        self._hold.written.add(end.call)
        try:
            checked = await _judged(answer, schema)
        finally:
            self._hold.written.discard(end.call)
        if keep or checked.problems:
            await self._keep(number, asked + b"\n" + answer.body, end)
        return checked

    def _answer_to(self, asked: bytes, number: int) -> InferenceResponse | None:
        """Return the kept answer, if it is one to this question: the limits may have changed."""
        question, _, body = self._known.get(number, b"").partition(b"\n")
        return InferenceResponse(OK, body, None) if question == asked else None

    async def _keep(self, number: int, body: bytes, end: AttemptEnd) -> None:
        hold = self._hold
        hold.calls.remove(end)
        # Other calls of the job may be under way: a shutdown need not wait for them.
        hold.answered = False
        part = PartEnd(hold.job, number, body, end)
        writing = asyncio.create_task(self._resources.journal.part(part), name="part")
        try:
            standing = await whole(writing)
        finally:
            if returned(writing) is None:
                hold.calls.append(end)
        failpoint("after_part")
        if standing is not Standing.HELD:
            raise ClaimLost(standing)


async def _judged(answer: InferenceResponse, schema: Schema) -> Checked:
    # To hold a text against patterns may take a second, in which others are served.
    if steps_of(dict(schema)):
        return await asyncio.to_thread(check.document_answer, answer, schema)
    return check.document_answer(answer, schema)
