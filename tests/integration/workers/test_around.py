"""Round a failure within one claim: other deployments, other dialects, and whom to ask first."""

from collections.abc import Sequence

import orjson
import pytest

from shared.database import Row
from shared.events.deltas import DeltaLog
from tests.fakes.upstream_client import rule
from tests.integration.workers.conftest import Bench

HARD, SIMPLE = "hard", "Simple."


def _steps(attempts: Sequence[Row]) -> list[tuple[str, str, int]]:
    return [(row["deployment"], row["status"], row["claim_number"]) for row in attempts]


async def test_another_dialect_answers_in_the_clients(bench: Bench) -> None:
    bench.upstream.script(rule("status", model="cheap", status=500))
    job_id = await bench.submit("hello", model="any", attempts=3, top_logprobs=None, seed=7)

    job = await bench.run(job_id)

    assert (job["state"], job["failures"]) == ("completed", 1)
    attempts = await bench.attempts(job_id)
    assert _steps(attempts) == [("cheap", "error", 1), ("claude", "ok", 1)]
    assert "seed" in attempts[1]["dropped"], "what the second one was not told"
    answer = await bench.result(job_id)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "echo: hello"


async def test_a_stream_says_what_the_one_who_speaks_was_not_told(bench: Bench) -> None:
    job_id = await bench.submit("hi", model="any", attempts=3, stream=True, temperature=1.5)
    bench.upstream.script(rule("status", model="cheap", status=500))

    assert (await bench.run(job_id))["state"] == "completed"

    deltas = await DeltaLog(bench.resources.shared.redis).after(job_id, 0, 0)
    assert {delta.dropped for delta in deltas} == {("temperature>1",)}
    refused, answered = await bench.attempts(job_id)
    assert refused["dropped"] is None
    assert orjson.loads(answered["dropped"]) == ["temperature>1"]


async def test_too_long_a_request_goes_to_a_longer_model(bench: Bench) -> None:
    error = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    bench.upstream.script(rule("status", model="cheap", status=400, body=error))
    job_id = await bench.submit("hello", model="any", attempts=3)

    job = await bench.run(job_id)

    assert job["state"] == "completed"
    assert _steps(await bench.attempts(job_id))[-1] == ("claude", "ok", 1)


async def test_an_unknown_outcome_forbids_a_second_call(bench: Bench) -> None:
    bench.upstream.script(rule("reset", model="cheap", at="start"))
    job_id = await bench.submit("hello", model="any", attempts=3)
    async with bench.resources.database.transaction() as db:
        await db.exec_driver_sql("UPDATE job SET on_unknown = 'fail'")

    job = await bench.run(job_id)

    assert (job["state"], job["reason"]) == ("failed", "unknown_outcome")
    assert len(await bench.attempts(job_id)) == 1


@pytest.mark.parametrize(("says", "model"), [(HARD, "m"), (SIMPLE, "cheap")])
async def test_a_small_call_says_who_is_asked(bench: Bench, says: str, model: str) -> None:
    bench.upstream.script(rule("ok", model="judge", content=says))
    job_id = await bench.submit("prove it", model="by difficulty", attempts=3)

    job = await bench.run(job_id)

    assert job["state"] == "completed"
    attempts = await bench.attempts(job_id)
    assert [row["deployment"] for row in attempts] == ["judge", model]
    assert all(row["input_tokens"] for row in attempts), "both are on the bill"
    assert (await bench.result(job_id))["choices"][0]["message"]["content"] == "echo: prove it"


@pytest.mark.parametrize("says", ["I cannot tell", "hard or simple"])
async def test_a_judge_who_does_not_know_leaves_it_to_the_rule(bench: Bench, says: str) -> None:
    bench.upstream.script(rule("ok", model="judge", content=says))
    job_id = await bench.submit("hi", model="by difficulty", attempts=3)

    await bench.run(job_id)

    assert [row["deployment"] for row in await bench.attempts(job_id)] == ["judge", "cheap"]


async def test_a_judge_who_fails_is_paid_from_the_one_budget(bench: Bench) -> None:
    bench.upstream.script(rule("status", model="judge", status=500))
    job_id = await bench.submit("hi", model="by difficulty", attempts=3)

    job = await bench.run(job_id)

    assert (job["state"], job["failures"]) == ("completed", 1)
    assert _steps(await bench.attempts(job_id)) == [("judge", "error", 1), ("cheap", "ok", 1)]


@pytest.mark.parametrize("most", [2, 3])
async def test_a_judge_and_a_model_fail_no_oftener_than_the_job_may(
    bench: Bench, most: int
) -> None:
    bench.upstream.script(rule("status", status=500))
    job_id = await bench.submit("hi", model="by difficulty", attempts=most)

    job = await bench.run(job_id)

    assert (job["state"], job["reason"]) == ("failed", "attempts_exhausted")
    assert job["failures"] == most
    asked = [row["deployment"] for row in await bench.attempts(job_id)]
    assert (asked[0], len(asked)) == ("judge", most)


async def test_a_judge_is_not_asked_with_the_last_attempt(bench: Bench) -> None:
    job_id = await bench.submit("hi", model="by difficulty", attempts=1)

    assert (await bench.run(job_id))["state"] == "completed"
    assert [row["deployment"] for row in await bench.attempts(job_id)] == ["cheap"]


async def test_a_judge_stands_on_the_jobs_bill(bench: Bench) -> None:
    bench.upstream.script(rule("ok", model="judge", content=SIMPLE))
    job_id = await bench.submit("hi", model="by difficulty", attempts=3)

    job = await bench.run(job_id)

    attempts = await bench.attempts(job_id)
    for name in ("input_tokens", "output_tokens", "cost_nanousd"):
        told = [row[name] for row in attempts if row[name] is not None]
        assert (job[name] or 0) == sum(told), name


@pytest.mark.parametrize(("also", "wanted"), [(False, "echo: hello"), (True, "")])
async def test_an_answer_that_a_filter_withholds_is_sought_elsewhere(
    bench: Bench, also: bool, wanted: str
) -> None:
    bench.upstream.script(rule("ok", model="cheap", withheld=True))
    if also:
        bench.upstream.script(rule("status", model="claude", status=500))
    job_id = await bench.submit("hello", model="loyal", attempts=3)

    job = await bench.run(job_id)

    assert job["state"] == "completed"
    statuses = [(row["deployment"], row["status"]) for row in await bench.attempts(job_id)]
    assert statuses == [("cheap", "ok"), ("claude", "error" if also else "ok")]
    answer = await bench.result(job_id)
    assert (answer["choices"][0]["message"]["content"] or "") == wanted


async def test_a_route_that_takes_it_for_an_answer_asks_nobody_else(bench: Bench) -> None:
    bench.upstream.script(rule("ok", model="cheap", withheld=True))
    job_id = await bench.submit("hello", model="any", attempts=3)

    await bench.run(job_id)

    assert len(await bench.attempts(job_id)) == 1
    assert (await bench.result(job_id))["choices"][0]["finish_reason"] == "content_filter"
