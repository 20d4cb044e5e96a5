"""The answer that a route gives when nothing else can be had, in the client's own dialect."""

from dataclasses import replace

import orjson
import structlog

from shared.database import Row
from shared.dialects.registry import translator_of
from shared.dialects.translator import Head, Json
from shared.errors import NotFound
from shared.inference.conversation import Text
from shared.inference.dialect import Dialect, Operation
from shared.inference.generation import Choice, Finish, GenerationResponse
from shared.jobs.claims import ClaimEnd, Result
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import JobState, Priority, Reason
from workers.attempt.hold import Hold
from workers.attempt.prepare import Work
from workers.resources import WorkerResources

OK = 200
IN_VAIN = frozenset({Reason.ATTEMPTS_EXHAUSTED, Reason.UNKNOWN_OUTCOME, Reason.DEADLINE})
FAILING = frozenset(
    {Reason.PROVIDER_DOWN, Reason.BACKOFF, Reason.OVERLOADED, Reason.QUOTA_EXHAUSTED}
)
"""Waits for providers that fail; limits are waited for."""
PATIENCE_S = 1.0
"""Who stays for the answer gets the route's own rather than wait longer for them."""
INTERACTIVE = Priority.INTERACTIVE.rank
OF_THE_OPERATOR = frozenset({"auth_failed", "model_not_found"})
"""Refusals that are no fault of the client's."""
log = structlog.get_logger()


async def instead_of(
    end: ClaimEnd | None, hold: Hold, work: Work | None, resources: WorkerResources
) -> ClaimEnd | None:
    """Return the end itself, or, where the provider failed for good, one with the route's default answer.

    Nothing takes the place of what was told to a client already.
    """
    if end is None or work is None or hold.told or not _is_in_vain(end, hold):
        return end
    if work.operation is not Operation.GENERATE or work.document is not None:
        return end
    try:
        text = (await resources.route(hold.job.model)).default_answer
    except NotFound:
        return end
    if text is None:
        return end
    log.info("attempt.default_answer", reason=end.reason)
    job = hold.job
    body = default_body(job.id, job.model, job.created_at, work.dialect, work.body, text)
    return replace(
        end,
        state=JobState.COMPLETED,
        reason=Reason.DEFAULT_ANSWER,
        result=Result(OK, body),
        delay_ms=None,
        waited=False,
    )


def default_body(  # noqa: PLR0917
    job_id: str, model: str, created_at: int, dialect: Dialect, asked: Json, text: str
) -> bytes:
    """Return a whole answer that says this text, in the client's dialect, without a usage."""
    head = Head(job_id.removeprefix("job_"), model, created_at // 1000)
    choice = Choice((Text(text),), Finish.STOP)
    response = GenerationResponse(head.id, model, (choice,), None, head.created_s)
    return orjson.dumps(translator_of(dialect).write_answer(response, head, asked))


def has_default(endpoint: Endpoint) -> bool:
    """Tell whether an endpoint's answers are texts, which a route may have one of."""
    return endpoint.operation is Operation.GENERATE and endpoint is not Endpoint.DOCUMENTS


def late_body(job: Row, text: str) -> bytes | None:
    """Return the same for a job that nobody has claimed in time; None where none can be made."""
    # A large request lies elsewhere, and is only echoed.
    asked = orjson.loads(job["body"] or b"{}")
    dialect = Endpoint(job["endpoint"]).dialect
    try:
        return default_body(job["id"], job["model"], job["created_at"], dialect, asked, text)
    except Exception:
        # One strange request must not keep all others from their end.
        log.exception("default_answer.not_written", job_id=job["id"])
        return None


def _is_in_vain(end: ClaimEnd, hold: Hold) -> bool:
    if end.state is JobState.QUEUED:
        waits_s = (end.delay_ms or 0) / 1000
        impatient = hold.job.priority == INTERACTIVE and end.reason in FAILING
        # It would wait until its time is over, or somebody would in silence.
        too_long = waits_s >= hold.time_left_s or (impatient and waits_s > PATIENCE_S)
        return end.reason is not Reason.INTERRUPTED and too_long
    code = (end.error or {}).get("code")
    return end.reason in IN_VAIN or (end.reason is Reason.REJECTED and code in OF_THE_OPERATOR)
