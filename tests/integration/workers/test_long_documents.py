"""Long documents through a real worker: waits and crashes in between, disagreement, provenance."""

import asyncio
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from shared.documents.schema import Schema
from shared.inference.response import InferenceResponse
from shared.jobs.transitions import JobState, Priority, Reason
from tests.fakes.upstream_client import rule
from tests.integration.workers.conftest import INPUT_NANOUSD, OUTPUT_NANOUSD, Bench, until
from tests.integration.workers.long_documents import ANSWERS, WHOLE, Long, part
from workers.attempt import parts
from workers.attempt.check import Checked
from workers.attempt.hold import Stop


@pytest.fixture
async def long(bench: Bench, tmp_path: Path) -> Long:
    """Two calls of a document at once, for a document of four parts, a page each."""
    settings = bench.resources.settings
    settings.document_calls_at_once = 2
    settings.max_document_chars = 6_500
    return Long(bench, tmp_path, f"Read {uuid4().hex}.")


async def test_a_long_document_is_read_in_parts_and_put_together(long: Long) -> None:
    long.script()
    job_id = await long.submit()

    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED, job["error"]
    result = await long.bench.result(job_id)
    assert result["data"] == WHOLE
    assert result["document"]["chunks"] == 4
    assert result["document"]["pages"] == 4
    assert result["repaired"] is False
    assert sorted(long.asked()) == ["Part 1", "Part 2", "Part 3", "Part 4"]
    attempts = await long.bench.attempts(job_id)
    assert [each["status"] for each in attempts] == ["ok"] * 4
    assert job["input_tokens"] == sum(each["input_tokens"] for each in attempts)
    assert job["cost_nanousd"] == sum(
        each["input_tokens"] * INPUT_NANOUSD + each["output_tokens"] * OUTPUT_NANOUSD
        for each in attempts
    )


async def test_an_answer_that_is_being_checked_is_counted_once(
    long: Long, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = parts._judged

    async def slowly(answer: InferenceResponse, schema: Schema) -> Checked:
        if b"Quay works" in answer.body:
            await until(lambda: _said("Part 3" in long.asked()))
        return await judged(answer, schema)

    monkeypatch.setattr(parts, "_judged", slowly)
    long.script()
    job_id = await long.submit()

    job = await long.run(job_id)

    attempts = await long.bench.attempts(job_id)
    assert [each["status"] for each in attempts] == ["ok"] * 4
    assert job["input_tokens"] == sum(each["input_tokens"] for each in attempts)
    assert job["cost_nanousd"] == sum(each["cost_nanousd"] for each in attempts)


async def test_every_value_says_on_which_page_it_stands(long: Long) -> None:
    long.script()
    job_id = await long.submit()
    await long.run(job_id)

    found = (await long.bench.result(job_id))["provenance"]

    assert found["/title"] == {"pages": [1]}
    assert found["/seller/name"] == {"pages": [2]}
    assert found["/seller/vat"] == {"pages": [3]}
    assert found["/total"] == {"pages": [4]}
    assert found["/items/1/sku"] == {"pages": [2]}


async def test_after_a_rate_limit_only_what_is_left_is_asked_for(long: Long) -> None:
    limited = part(3, "status", status=429, headers={"retry-after": "1"}, times=1)
    long.script(limited)
    job_id = await long.submit()

    waiting = await long.bench.run(job_id)
    assert (waiting["state"], waiting["reason"]) == (JobState.QUEUED, Reason.RATE_LIMITED)
    before = long.asked()
    await long.wake(job_id)
    await asyncio.sleep(1.3)  # the lane is closed for as long as the provider said
    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED
    assert (await long.bench.result(job_id))["data"] == WHOLE
    answered = {"Part 1", "Part 2"} & set(before)
    assert answered == {"Part 1", "Part 2"}
    assert sorted(long.asked()) == ["Part 1", "Part 2", "Part 3", "Part 3", "Part 4"]
    statuses = [each["http_status"] for each in await long.bench.attempts(job_id)]
    assert sorted(statuses) == [200, 200, 200, 200, 429]
    assert job["failures"] == 0


async def test_after_the_death_of_a_worker_no_part_is_asked_for_again(long: Long) -> None:
    long.script(part(3, "gate"), part(4, "gate"))
    job_id = await long.submit()
    runner = long.bench.runner
    await runner.take([job_id], Priority.STANDARD)
    await until(lambda: long.has_parts(job_id, 2))
    await until(lambda: _said(set(long.asked()) >= {"Part 3", "Part 4"}))
    # As after kill -9: nothing more is written, and somebody else takes it.
    runner._holds[job_id][1].cancel()
    await long.bench.idle()
    long.bench.upstream.clear()
    long.script()
    await long.execute(
        "UPDATE job SET state = 'queued', owner = NULL, lease_expires_at = NULL WHERE id = :id",
        job_id,
    )
    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED
    assert (await long.bench.result(job_id))["data"] == WHOLE
    asked = long.asked()
    assert [asked.count(f"Part {number}") for number in ANSWERS] == [1, 1, 2, 2]
    statuses = [each["status"] for each in await long.bench.attempts(job_id)]
    assert statuses == ["ok", "ok", "started", "started", "ok", "ok"], (
        "four are seen to be lost or paid"
    )


async def test_a_shutdown_closes_all_calls_and_keeps_the_answers(long: Long) -> None:
    long.script(part(2, "gate", times=1), part(3, "gate", times=1))
    job_id = await long.submit()
    await long.bench.runner.take([job_id], Priority.STANDARD)
    await until(lambda: _said(set(long.asked()) >= {"Part 2", "Part 3"}))
    await until(lambda: long.has_parts(job_id, 1))
    long.bench.runner.stop([job_id], Stop.DRAIN)
    await long.bench.idle()

    waiting = await long.bench.job(job_id)
    assert (waiting["state"], waiting["reason"]) == (JobState.QUEUED, Reason.INTERRUPTED)
    attempts = await long.bench.attempts(job_id)
    assert [each["status"] for each in attempts] == ["ok", "interrupted", "interrupted"]
    job = await long.run(job_id)
    assert job["state"] == JobState.COMPLETED
    assert long.asked().count("Part 1") == 1


async def test_what_parts_disagree_on_is_settled_by_one_more_call(long: Long) -> None:
    other = {**ANSWERS[3], "total": 99.0, "title": "Quay  works"}
    settle = orjson.dumps({"value_1": 1250.5}).decode()
    long.script(
        part(3, content=orjson.dumps(other).decode()), rule(marker="Settle", content=settle)
    )
    job_id = await long.submit()

    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED
    result = await long.bench.result(job_id)
    assert result["data"] == WHOLE
    assert result["provenance"]["/total"] == {"pages": [4]}
    assert long.asked().count("Settle what") == 1
    assert len(await long.bench.attempts(job_id)) == 5


async def test_a_whole_that_does_not_fit_is_sent_back_once(long: Long) -> None:
    lacking = orjson.dumps({**ANSWERS[4], "total": None}).decode()
    mended = orjson.dumps(WHOLE).decode()
    long.script(part(4, content=lacking), rule(marker="Mend this", content=mended))
    job_id = await long.submit()

    await long.run(job_id)

    result = await long.bench.result(job_id)
    assert result["data"] == WHOLE
    assert result["repaired"] is True
    assert "/total" not in result["provenance"], "the model added it"
    assert result["provenance"]["/seller/vat"] == {"pages": [3]}


async def test_a_part_that_never_fits_fails_the_job_and_is_named(long: Long) -> None:
    long.script(part(2, content='{"title": 7}'), rule(content='{"title": 7}', marker="Your answer"))
    job_id = await long.submit()

    job = await long.run(job_id)

    assert (job["state"], job["reason"]) == (JobState.FAILED, Reason.SCHEMA_MISMATCH)
    assert "part 2 of 4, page 2" in orjson.loads(job["error"])["message"]


async def test_failures_of_parts_use_up_the_attempts_of_the_job(long: Long) -> None:
    long.script(part(4, "status", status=500))
    job_id = await long.submit(attempts=2)

    job = await long.run(job_id)

    assert (job["state"], job["reason"]) == (JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED)
    asked = long.asked()
    assert [asked.count(f"Part {number}") for number in ANSWERS] == [1, 1, 1, 2]


async def test_a_document_of_too_many_parts_is_refused_with_the_remedy(long: Long) -> None:
    long.bench.resources.settings.max_document_chunks = 3
    job_id = await long.submit()

    job = await long.run(job_id)

    error = orjson.loads(job["error"])
    assert (job["state"], error["code"]) == (JobState.FAILED, "document_too_long")
    assert "PENSTOCK_MAX_DOCUMENT_CHUNKS" in error["message"]
    assert long.asked() == []


async def test_a_repair_of_a_short_document_goes_on_behind_the_first_answer(long: Long) -> None:
    long.bench.resources.settings.max_document_chars = 60_000
    whole = orjson.dumps(WHOLE).decode()
    long.bench.upstream.script(
        rule(marker=long.words, content='{"title": 7}', times=1),
        rule("status", marker="Your answer", status=500, times=1),
        rule(marker="Your answer", content=whole),
    )
    job_id = await long.submit()

    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED
    result = await long.bench.result(job_id)
    assert (result["data"], result["repaired"]) == (WHOLE, True)
    assert result["provenance"]["/total"] == {"pages": [4]}
    assert len(long.asked()) == 1
    assert len(await long.bench.attempts(job_id)) == 3


async def _said(value: bool) -> bool:
    return value


async def test_the_sandbox_reads_long_documents_too(long: Long) -> None:
    filler = "Nothing of any interest stands in this line of the report."
    pages = [
        ["Title: Quay works", *[filler] * 40],
        ["Name: Tidewater", *[filler] * 40],
        ["VAT: GB 123", *[filler] * 40],
        ["Total: 1250.50", *[filler] * 40],
    ]
    job_id = await long.submit(pages, model="sandbox/reader")

    job = await long.run(job_id)

    assert job["state"] == JobState.COMPLETED, job["error"]
    result = await long.bench.result(job_id)
    assert result["document"]["chunks"] == 4
    assert (result["data"]["title"], result["data"]["total"]) == ("Quay works", 1250.5)
    assert result["provenance"]["/total"] == {"pages": [4]}


async def test_pages_go_as_pictures_where_that_is_asked_for(long: Long) -> None:
    long.bench.resources.settings.max_document_chars = 60_000
    whole = orjson.dumps(WHOLE).decode()
    long.bench.upstream.script(rule(marker=long.words, content=whole))
    shown = await long.submit([["Quay works"], []], images="always")
    plain = await long.submit([["Quay works"], []])

    await long.run(shown)
    await long.run(plain)

    assert (await long.bench.result(shown))["document"]["images"] == 2
    document = (await long.bench.result(plain))["document"]
    assert document["images"] == 0, "nobody said that it sees"
    assert document["warnings"][0].startswith("No text on page 2 of 2")
