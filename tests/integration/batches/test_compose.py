"""The files of an ended batch: whole, in order, streamed, and made once whatever crashes on the way."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from shared.batches.model import BatchState
from shared.clock import now_ms
from shared.database import fetch
from shared.files.model import StoredFile
from shared.jobs.model import JobResult
from shared.jobs.transitions import JobState
from shared.webhooks.model import WebhookDelivery
from tests.integration.batches.yard import ANSWER, Yard
from workers.batches import compose

DAY_MS = 86_400_000


async def _ids(yard: Yard, batch_id: str) -> list[str]:
    return [line["id"] for line in await yard.lines(batch_id)]


async def _all(yard: Yard, table: Any) -> list[Any]:
    async with yard.resources.database.reading() as db:
        return list(await fetch(db, select(table.__table__)))


async def test_lines_stand_in_the_order_in_which_they_ended(yard: Yard) -> None:
    batch_id = await yard.batch(600)
    ids = await _ids(yard, batch_id)
    for first in (400, 0, 200):
        await yard.finish(ids[first : first + 200])

    await yard.lead()

    row = await yard.row(batch_id)
    file, lines = await yard.file(row["output_file_id"])
    assert [each["custom_id"] for each in lines] == [
        each["custom_id"] for each in await yard.results(batch_id)
    ]
    assert {each["custom_id"] for each in lines} == {f"line-{n}" for n in range(1, 601)}
    assert lines[0]["response"]["body"] == orjson.loads(ANSWER)
    assert row["error_file_id"] is None
    assert (file["purpose"], file["lines"]) == ("batch_output", 600)
    assert file["filename"] == f"{batch_id}_output.jsonl"
    assert file["expires_at"] - file["created_at"] == 30 * DAY_MS


async def test_the_files_live_as_long_as_was_asked(yard: Yard) -> None:
    batch_id = await yard.batch(1, output_life_s=3600)
    await yard.finish(await _ids(yard, batch_id), JobState.FAILED)

    await yard.lead()

    row = await yard.row(batch_id)
    file, lines = await yard.file(row["error_file_id"])
    assert (row["state"], row["output_file_id"]) == (BatchState.COMPLETED, None)
    assert file["filename"] == f"{batch_id}_error.jsonl"
    assert file["expires_at"] - file["created_at"] == 3_600_000
    assert [each["response"]["status_code"] for each in lines] == [400]


async def test_answers_beyond_ascii_and_in_blobs_are_lines_too(yard: Yard) -> None:
    batch_id = await yard.batch(2)
    ids = await _ids(yard, batch_id)
    large = orjson.dumps({"text": "ü" * 300_000 + "\u2028"}, option=orjson.OPT_INDENT_2)
    await yard.resources.blobs.put("results/xy/large", large)
    await yard.finish(ids)
    async with yard.resources.database.transaction() as db:
        mine = update(JobResult).where(col(JobResult.job_id) == ids[0])
        await db.execute(mine.values(body=None, blob="results/xy/large"))

    await yard.lead()

    _, lines = await yard.file((await yard.row(batch_id))["output_file_id"])
    bodies = {each["custom_id"]: each["response"]["body"] for each in lines}
    assert bodies == {"line-1": orjson.loads(large), "line-2": orjson.loads(ANSWER)}


async def test_a_lost_answer_does_not_keep_a_batch_from_its_end(yard: Yard) -> None:
    batch_id = await yard.batch(1)
    await yard.finish(await _ids(yard, batch_id))
    async with yard.resources.database.transaction() as db:
        await db.execute(update(JobResult).values(body=None, blob="results/xy/gone"))

    await yard.lead()

    row = await yard.row(batch_id)
    assert row["state"] == BatchState.COMPLETED
    (line,) = (await yard.file(row["output_file_id"]))[1]
    assert line["response"]["status_code"] == 500


async def test_a_crash_before_the_commit_costs_nothing_but_time(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = await yard.batch(4)
    await yard.finish(await _ids(yard, batch_id))

    def die(_name: str) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(compose, "failpoint", die)
        await yard.lifecycle.perform()
        await yard.composer.perform()
        await asyncio.wait(yard.composer._tasks.values())
    before = await yard.row(batch_id)
    await yard.another().lead()

    after = await yard.row(batch_id)
    assert (before["state"], before["output_file_id"]) == (BatchState.FINALIZING, None)
    assert after["state"] == BatchState.COMPLETED
    assert [each["type"] for each in await yard.events(batch_id)] == ["batch.completed"]
    assert [file["id"] for file in await _all(yard, StoredFile)] == [after["output_file_id"]]
    assert len((await yard.file(after["output_file_id"]))[1]) == 4


async def test_the_end_is_told_to_the_url_of_the_batch(yard: Yard) -> None:
    hook = {"url": "https://example.com/hook", "events": ["batch.completed"]}
    batch_id = await yard.batch(40, webhook=hook)
    ids = await _ids(yard, batch_id)
    await yard.finish(ids[:20])
    await yard.lead()
    await yard.finish(ids[20:])
    await yard.lead()

    (told,) = await _all(yard, WebhookDelivery)
    event = (await yard.events(batch_id))[-1]
    body = orjson.loads(told["body"])
    assert (told["event_type"], told["batch_id"], told["job_id"]) == (
        "batch.completed",
        batch_id,
        None,
    )
    assert body["data"] == event["data"]
    assert body["id"] == told["event_id"]
    assert body["id"].startswith("evt_")
    assert body["data"]["status"] == "completed"


async def test_a_batch_without_lines_completes_without_files(yard: Yard) -> None:
    batch_id = await yard.batch(0, open=True)
    await yard.lead()

    await yard.change(batch_id, open=False)
    await yard.lead()

    row = await yard.row(batch_id)
    assert (row["state"], row["output_file_id"], row["error_file_id"]) == (
        BatchState.COMPLETED,
        None,
        None,
    )


async def test_a_full_disk_is_waited_for(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = await yard.batch(1)
    await yard.finish(await _ids(yard, batch_id))

    async def full(*_args: object) -> tuple[int, str]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(yard.resources.blobs, "put_stream", full)
        await yard.lifecycle.perform()
        await yard.composer.perform()
        await asyncio.wait(yard.composer._tasks.values())
    waiting = await yard.row(batch_id)
    monkeypatch.setattr(compose, "monotonic", lambda: now_ms() / 1000 + 1e9)
    await yard.lead()

    assert waiting["state"] == BatchState.FINALIZING
    assert (await yard.row(batch_id))["state"] == BatchState.COMPLETED
