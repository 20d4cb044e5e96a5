"""`POST /v1/batches`: stored at once with its lines, or refused with nothing stored."""

from typing import Any

import pytest
from sqlalchemy import delete

from shared.auth.permissions import Role
from shared.batches import creation
from shared.batches.creation import BatchDraft, Source
from shared.batches.model import Batch, BatchInput, InputKind
from shared.batches.options import BatchOptions
from shared.clock import now_ms, rfc3339
from shared.errors import NotFound
from shared.files.model import StoredFile
from shared.webhooks.model import WebhookSecret
from tests.api.batches.clerk import TASK, Clerk, jsonl, line
from tests.api.whole_app import WholeApp

OPENAI = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}


async def test_openais_own_request(clerk: Clerk) -> None:
    file_id = await clerk.upload(jsonl([line("one"), line("two")]))

    reply = await clerk.post(input_file_id=file_id, **OPENAI, metadata={"team": "billing"})
    made = reply.json()

    assert reply.status_code == 200
    assert reply.headers["location"] == f"/v1/batches/{made['id']}"
    assert made["id"].startswith("batch_")
    assert (made["object"], made["status"]) == ("batch", "validating")
    assert (made["input_file_id"], made["errors"]) == (file_id, None)
    assert made["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert made["expires_at"] - made["created_at"] == 24 * 3600
    assert made["metadata"] == {"team": "billing"}
    [given] = await clerk.rows(BatchInput)
    [file] = await clerk.rows(StoredFile)
    assert (given["kind"], given["blob"], given["bytes"]) == ("jsonl", file["blob"], file["bytes"])
    assert (given["lines"], given["file_id"], given["stored"]) == (2, file_id, False)


async def test_under_openai_too(clerk: Clerk) -> None:
    made = (await clerk.client.post("/openai/v1/batches", json={"requests": [line("1")]})).json()

    for path in (f"/{made['id']}", ""):
        assert (await clerk.client.get(f"/openai/v1/batches{path}")).status_code == 200
    cancelled = await clerk.client.post(f"/openai/v1/batches/{made['id']}/cancel")
    assert cancelled.json()["status"] == "cancelling"


async def test_everything_that_is_asked_for_is_kept(clerk: Clerk) -> None:
    asked: dict[str, Any] = {
        "priority": "standard",
        "max_attempts": 2,
        "on_unknown": "fail",
        "on_invalid": "skip",
        "coalesce": True,
        "open": True,
        "completion_window": "90m",
        "retention_seconds": 3600,
        "output_expires_after": {"anchor": "created_at", "seconds": 7200},
        "webhook": {"url": "https://example.com/hook", "events": ["batch.progress"]},
    }
    made = await clerk.create(requests=[line("one")], **asked)

    row = await clerk.row(made["id"])
    assert row["complete_by"] - row["created_at"] == 90 * 60_000
    assert (row["output_life_s"], row["retention_s"], row["open"]) == (7200, 3600, True)
    assert row["webhook"] == asked["webhook"]
    named = ("priority", "max_attempts", "on_unknown", "on_invalid", "coalesce")
    assert {name: row["options"][name] for name in named} == {name: asked[name] for name in named}
    assert (made["endpoint"], made["completion_window"]) == ("mixed", "90m")


async def test_requests_become_a_file(clerk: Clerk) -> None:
    """Also there what reads batches finds an `input_file_id`, and its lines can be downloaded."""
    given = [line("one"), line("två")]

    made = await clerk.create(requests=given)

    content = await clerk.client.get(f"/v1/files/{made['input_file_id']}/content")
    file = (await clerk.client.get(f"/v1/files/{made['input_file_id']}")).json()
    assert await clerk.lines_of(made["id"]) == [given]
    assert content.content == jsonl(given)
    assert (file["purpose"], file["filename"]) == ("batch", f"{made['id']}.jsonl")
    assert file["expires_at"] - file["created_at"] == 30 * 24 * 3600
    assert [row["lines"] for row in await clerk.rows(StoredFile)] == [2]


async def test_a_deadline_may_be_a_moment(clerk: Clerk) -> None:
    moment = now_ms() + 3 * 3_600_000

    made = await clerk.create(complete_by=rfc3339(moment))

    assert made["complete_by"] == rfc3339(moment)
    assert made["completion_window"] == "180m"
    assert (await clerk.create(completion_window="7d"))["completion_window"] == "7d"


async def test_an_open_batch_begins_without_lines(clerk: Clerk) -> None:
    made = await clerk.create(open=True)

    assert (made["status"], made["open"], made["input_file_id"]) == ("in_progress", True, None)
    assert made["in_progress_at"] == made["created_at"]
    assert await clerk.rows(BatchInput) == []


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({"input_file_id": None}, "input_file_id", "There are no lines"),
        ({"files": ["file-1"]}, "files", "just one of"),
        ({"archive": "file-1"}, "archive", "just one of"),
        ({"files": []}, "files", "length of at least 1"),
        ({"other": 1}, "other", "is not known here"),
        ({"endpoint": "/v1/moderations"}, "endpoint", "/v1/chat/completions"),
        ({"completion_window": "soon"}, "completion_window", "such as `30m`"),
        ({"completion_window": "0h"}, "completion_window", "such as `30m`"),
        ({"completion_window": "8d"}, "completion_window", "7 days"),
        ({"complete_by": "2020-01-01T00:00:00Z"}, "complete_by", "later than now"),
        ({"complete_by": "2100-01-01T00:00:00Z"}, "complete_by", "7 days"),
        ({"complete_by": "2100-01-01T00:00:00"}, "complete_by", "time zone"),
        (
            {"complete_by": "2100-01-01T00:00:00Z", "completion_window": "24h"},
            "complete_by",
            "not both",
        ),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "at most 16"),
        ({"metadata": {"a": "b" * 513}}, "metadata.a", "512"),
        ({"output_expires_after": {"seconds": 7200}}, "output_expires_after.anchor", "missing"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 3599}},
            "output_expires_after.seconds",
            "3600",
        ),
        ({"max_attempts": 21}, "max_attempts", "20"),
        ({"priority": "asap"}, "priority", "interactive"),
        ({"on_invalid": "ignore"}, "on_invalid", "skip"),
        ({"retention_seconds": 0}, "retention_seconds", "1"),
        (
            {"webhook": {"url": "https://example.com", "events": ["job.completed"]}},
            "webhook.events",
            "events of a batch",
        ),
        ({"webhook": {"url": "http://127.0.0.1/"}}, "webhook.url", "cannot be used"),
        ({"model": "sandbox/echo"}, "model", "documents"),
        ({"schema": {}}, "schema", "documents"),
        ({"instructions": "Read."}, "instructions", "documents"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_field(
    clerk: Clerk, asked: dict[str, Any], param: str, words: str
) -> None:
    file_id = await clerk.upload(jsonl([line("one")]))

    reply = await clerk.post(**{"input_file_id": file_id, **asked})
    body = reply.json()

    assert (reply.status_code, body["error"]["param"]) == (400, param), body
    assert words in body["error"]["message"]
    assert await clerk.nothing_stored()


async def test_files_that_are_not_there_or_for_something_else(clerk: Clerk, app: WholeApp) -> None:
    image = await clerk.upload(b"1\n", purpose="vision")
    gone = await clerk.upload(b"1\n")
    await clerk.client.delete(f"/v1/files/{gone}")

    wrong = await clerk.post(input_file_id=image)
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_file_purpose")
    for asked in (
        {"input_file_id": gone},
        {"input_file_id": "file-none"},
        {"archive": gone, **TASK},
        {"files": [gone], **TASK},
    ):
        reply = await clerk.post(**asked)
        assert (reply.status_code, reply.json()["code"]) == (404, "file_not_found")
    assert await clerk.rows(Batch) == []


async def test_a_strangers_file_is_no_file(clerk: Clerk, app: WholeApp) -> None:
    file_id = await clerk.upload(jsonl([line("one")]))
    async with app.resources.database.transaction() as db:
        await db.execute(
            StoredFile.__table__.update().values(tenant_id="ten_other")  # type: ignore[attr-defined]
        )

    assert (await clerk.post(input_file_id=file_id)).status_code == 404


async def test_bad_requests_are_named_and_nothing_is_stored(clerk: Clerk) -> None:
    given = [line("one"), line("one"), {"custom_id": "x"}, 7, line("four", body={"model": "none"})]

    reply = await clerk.post(requests=given)
    body = reply.json()

    assert (reply.status_code, body["code"]) == (400, "invalid_lines")
    assert body["error"]["param"] == "requests"
    assert body["detail"].startswith("4 of the 5 requests cannot be done")
    assert [each["line"] for each in body["line_errors"]] == [2, 3, 4, 5]
    assert body["line_errors"][0]["code"] == "duplicate_custom_id"
    assert all(each["message"] for each in body["line_errors"])
    assert await clerk.nothing_stored()


async def test_bad_requests_may_be_skipped(clerk: Clerk) -> None:
    given = [line("one"), {"custom_id": "x"}]

    made = await clerk.create(requests=given, on_invalid="skip")

    assert await clerk.lines_of(made["id"]) == [given]


async def test_many_requests_in_one_body(clerk: Clerk) -> None:
    given = [line(str(number), "x" * 100) for number in range(4000)]

    made = await clerk.create(requests=given)
    broken = await clerk.client.post(
        "/v1/batches", content=b'{"requests": [' + b'"longer",' * 100_000
    )

    assert await clerk.lines_of(made["id"]) == [given]
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")


async def test_an_endpoint_holds_for_every_request(clerk: Clerk) -> None:
    embed = line("two", url="/v1/embeddings", body={"model": "sandbox/embed", "input": "x"})

    mixed = await clerk.create(requests=[line("one"), embed])
    reply = await clerk.post(requests=[line("one"), embed], endpoint="/v1/chat/completions")

    assert mixed["endpoint"] == "mixed"
    assert [each["code"] for each in reply.json()["line_errors"]] == ["mismatched_endpoint"]


async def test_the_secret_that_signs_is_there_before_anything_is_told(clerk: Clerk) -> None:
    """Also where only a line names a receiver, which nobody has read yet."""
    hooked = line("one", webhook={"url": "https://example.com/hook"})
    await clerk.create(input_file_id=await clerk.upload(jsonl([hooked])))

    assert len(await clerk.rows(WebhookSecret)) == 1


async def test_who_may_only_look_creates_nothing(clerk: Clerk, app: WholeApp) -> None:
    viewer = app.client_of(await app.key(Role.VIEWER))

    reply = await viewer.post("/v1/batches", json={"requests": [line("one")]})

    assert (reply.status_code, reply.json()["code"]) == (403, "permission_denied")


async def test_a_file_that_goes_while_its_batch_is_made(clerk: Clerk, app: WholeApp) -> None:
    """It is looked at again where the batch is stored, and from then on its bytes stay."""
    file_id = await clerk.upload(b"1\n")
    async with app.resources.database.transaction() as db:
        await db.execute(delete(StoredFile))
    draft = BatchDraft(
        id="batch_1",
        tenant_id=app.tenant_id,
        created_at=1,
        completion_window="24h",
        complete_by=2,
        options=BatchOptions(),
        source=Source(InputKind.JSONL, "files/x", 2, 1, file_id),
    )

    with pytest.raises(NotFound):
        await creation.create(app.resources.database, draft, key_ttl_s=1)

    assert await clerk.rows(Batch) == []


async def test_deleting_the_file_does_not_disturb_the_batch(clerk: Clerk) -> None:
    file_id = await clerk.upload(jsonl([line("one")]))
    made = await clerk.create(input_file_id=file_id)

    assert (await clerk.client.delete(f"/v1/files/{file_id}")).status_code == 200

    assert (await clerk.client.get(f"/v1/files/{file_id}")).status_code == 404
    assert await clerk.lines_of(made["id"]) == [[line("one")]]
