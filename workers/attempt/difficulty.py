"""What a request needs of a model, and, where a route asks for it, whether it is hard: a small call tells."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import orjson
import structlog
from pydantic import JsonValue

from shared.auth.standings import Standing
from shared.dialects.registry import translator_of
from shared.errors import PenstockError
from shared.inference.conversation import Text
from shared.inference.dialect import Operation
from shared.inference.response import InferenceResponse
from shared.jobs.claims import ClaimedJob
from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS
from shared.limiter.buckets import Cost
from shared.limiter.estimate import estimate
from shared.routing.facts import Facts, facts_of
from shared.routing.model import Route
from workers.attempt.admit import MustWait
from workers.attempt.prepare import Work
from workers.attempt.retry import Budget, CallFailed
from workers.resources import WorkerResources

log = structlog.get_logger()

LEAST_LEFT = 2
"""A judge is asked only where its failure leaves a call for the job's own model."""


@dataclass(slots=True)
class Judge:
    """The model that says how hard a request is, how to ask it, and how many of the calls to it have failed.

    It may spend what the job's budget has but for one call.
    """

    model: str
    most: int
    ask: Callable[["Judge", Work], Awaitable[InferenceResponse]]
    failures: int = 0

    def within(self, budget: Budget) -> Budget:
        """Return its part of a budget."""
        return Budget(min(budget.most, self.most), budget.spent)


MOST_CHARS = 6000
QUESTION = (
    "You sort requests to language models. Is the request below simple (a fact, a short rewrite, a"
    " greeting, a plain extraction) or hard (reasoning in steps, code, mathematics, long or delicate"
    " writing)? Do not answer the request. Answer with one word: simple or hard.\n\nRequest:\n"
)


async def facts_for(
    job: ClaimedJob,
    work: Work,
    route: Route,
    resources: WorkerResources,
    judge: Judge | None = None,
) -> tuple[Facts, Cost]:
    """Return what decides where a call may go, and what it is taken to cost."""
    cost = estimate(
        work.body, default_output_tokens=DEFAULT_OUTPUT_TOKENS, operation=work.operation
    )
    facts = _facts(work, route, cost, await resources.shared.standings.of(job.tenant_id))
    if judge is None:
        return facts, cost
    known, key = resources.loads.judged(job), (job.id, job.generation)
    if key not in known:
        known[key] = await _told_hard(judge, work)
    hard = known[key]
    return (facts if hard is None else replace(facts, hard=hard)), cost


def judge_of(
    job: ClaimedJob, route: Route, ask: Callable[[Judge, Work], Awaitable[InferenceResponse]]
) -> Judge | None:
    """Return who is to say how hard a job's request is; None where the rule does."""
    model = route.difficulty.classifier if route.difficulty is not None else None
    most = min(job.max_attempts, route.max_attempts or job.max_attempts)
    if not model or most - job.failures < LEAST_LEFT:
        return None
    return Judge(model, most - 1, ask)


def _facts(work: Work, route: Route, cost: Cost, standing: Standing) -> Facts:
    if route.is_choosy:
        return facts_of(
            work.dialect,
            work.body,
            input_tokens=cost.input_tokens,
            regions=standing.regions,
            tier=standing.tier,
            difficulty=route.difficulty,
        )
    # What the request has in it decides nothing, and is not looked for.
    return Facts(
        input_tokens=cost.input_tokens,
        streams=work.streams,
        regions=standing.regions,
        tier=standing.tier,
    )


async def _told_hard(judge: Judge, work: Work) -> bool | None:
    """Return what the classifier says; None where it says nothing of use, and the rule decides."""
    if work.operation is not Operation.GENERATE or work.document is not None:
        return None
    try:
        answer = await judge.ask(judge, _question(work))
        said = orjson.loads(answer.body)["choices"][0]["message"]["content"]
    except (MustWait, CallFailed, PenstockError, ValueError, LookupError, TypeError) as error:
        log.warning("difficulty.not_told", classifier=judge.model, error=str(error))
        return None
    words = str(said).lower()
    if ("hard" in words) == ("simple" in words):
        return None
    return "hard" in words


def _question(work: Work) -> Work:
    asked = translator_of(work.dialect).read_request(work.body)
    texts = [
        part.text for message in asked.messages for part in message.parts if isinstance(part, Text)
    ]
    shown = "\n".join(texts)[-MOST_CHARS:]
    messages: JsonValue = [{"role": "user", "content": QUESTION + shown}]
    return Work(Operation.GENERATE, {"messages": messages})
