"""Checking a document's answer against its schema; what a repair round asks."""

from dataclasses import dataclass, replace

import orjson
from pydantic import JsonValue

from shared.documents.answers import AnswerError, parse_answer
from shared.documents.prompt import repair_body
from shared.documents.schema import Schema, problems
from shared.inference.response import InferenceResponse
from shared.jobs.transitions import Reason
from workers.attempt.prepare import Unworkable, Work

SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer, the value in it, and what is wrong with that (empty when nothing is).

    `mended`: its JSON was; `repaired`: it is the answer to a second question.
    """

    answer: InferenceResponse
    text: str
    value: JsonValue
    mended: bool
    problems: list[str]
    repaired: bool = False


def document_answer(answer: InferenceResponse, schema: Schema) -> Checked:
    """Parse the answer's text and compare it with the schema."""
    choice = orjson.loads(answer.body)["choices"][0]
    message = choice.get("message") or {}
    text = message.get("content") or ""
    if not text.strip():
        why = message.get("refusal") or f"finish_reason {choice.get('finish_reason')}"
        return Checked(answer, text, None, mended=False, problems=[f"The answer is empty ({why})."])
    try:
        value, mended = parse_answer(text)
    except AnswerError as error:
        return Checked(answer, text, None, mended=False, problems=[str(error)])
    return Checked(answer, text, value, mended=mended, problems=problems(schema, value))


def repair(work: Work, checked: Checked) -> Work:
    """Return the same work, asked again with what was wrong."""
    body = repair_body(work.body, answer=checked.text, problems=checked.problems)
    return replace(work, body=body)


def mismatch(checked: Checked, *, what: str = "") -> Unworkable:
    """Return the error of a job whose answer did not meet the schema after the repair either."""
    shown = "; ".join(checked.problems[:SHOWN_PROBLEMS])
    message = f"The model's answer{what} does not match the schema, after one repair round either: {shown}"
    return Unworkable(Reason.SCHEMA_MISMATCH, "schema_mismatch", message)
