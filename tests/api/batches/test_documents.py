"""Batches of documents: by their ids, as an archive, and by a form."""

from typing import Any

import orjson
import pytest

from shared.auth.permissions import Role
from shared.batches.model import Batch, BatchInput
from shared.files.model import StoredFile
from tests.api.batches.clerk import SCHEMA, TASK, Clerk, jsonl, line, packed
from tests.api.whole_app import WholeApp

FORM_TASK = {"model": "sandbox/extract", "schema": orjson.dumps(SCHEMA).decode()}


async def test_files_are_lines_by_their_names(clerk: Clerk) -> None:
    one = await clerk.upload(b"Total: 1", name="one.txt", purpose="user_data")
    two = [await clerk.upload(b"Total: 2", name="two.txt", purpose="user_data") for _ in range(2)]

    made = await clerk.create(files=[one, *two, {"file_id": one, "custom_id": "again"}], **TASK)

    assert await clerk.lines_of(made["id"]) == [
        [
            {"custom_id": "one.txt", "file_id": one},
            {"custom_id": f"two.txt ({two[0]})", "file_id": two[0]},
            {"custom_id": f"two.txt ({two[1]})", "file_id": two[1]},
            {"custom_id": "again", "file_id": one},
        ]
    ]
    [given] = await clerk.rows(BatchInput)
    row = await clerk.row(made["id"])
    assert given["kind"] == "files"
    assert row["options"]["task"] == {**TASK, "images": "auto"}
    assert (made["endpoint"], made["model"]) == ("/v1/documents", "sandbox/extract")
    assert made["input_file_id"] is not None


async def test_the_same_name_twice_is_refused(clerk: Clerk) -> None:
    one = await clerk.upload(b"Total: 1", name="one.txt", purpose="user_data")

    reply = await clerk.post(files=[{"file_id": one, "custom_id": "a"}] * 2, **TASK)

    assert (reply.status_code, reply.json()["code"]) == (400, "duplicate_custom_id")
    assert await clerk.nothing_stored()


async def test_an_archive_is_read_later(clerk: Clerk) -> None:
    content = packed({"a/one.txt": b"Total: 1"})
    file_id = await clerk.upload(content, name="all.zip", purpose="user_data")

    made = await clerk.create(archive=file_id, endpoint="/v1/documents", images="never", **TASK)

    [given] = await clerk.rows(BatchInput)
    assert (given["kind"], given["file_id"], given["bytes"]) == ("zip", file_id, len(content))
    assert (made["status"], made["input_file_id"]) == ("validating", file_id)
    assert (await clerk.row(made["id"]))["options"]["task"]["images"] == "never"


@pytest.mark.parametrize(
    ("changes", "status", "param"),
    [
        ({"model": None}, 400, "model"),
        ({"schema": None}, 400, "schema"),
        ({"schema": {"type": 7}}, 400, "schema"),
        ({"model": "none"}, 404, "model"),
        ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
        ({"instructions": "x" * 20_001}, 400, "instructions"),
        ({"images": "some"}, 400, "images"),
    ],
)
async def test_a_task_that_cannot_be_done(
    clerk: Clerk, changes: dict[str, Any], status: int, param: str
) -> None:
    file_id = await clerk.upload(b"Total: 1", purpose="user_data")

    reply = await clerk.post(files=[file_id], **{**TASK, **changes})

    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)
    assert await clerk.nothing_stored()


async def test_a_form_with_an_archive(clerk: Clerk) -> None:
    content = packed({"one.txt": b"Total: 1"})

    reply = await clerk.form(
        content, "all.ZIP", **FORM_TASK, completion_window="2h", metadata='{"team": "billing"}'
    )
    made = reply.json()

    [file] = await clerk.rows(StoredFile)
    [given] = await clerk.rows(BatchInput)
    assert reply.status_code == 200
    assert (made["metadata"], made["completion_window"]) == ({"team": "billing"}, "2h")
    assert (file["id"], file["filename"], file["purpose"]) == (
        made["input_file_id"],
        "all.ZIP",
        "batch",
    )
    assert (given["kind"], given["blob"]) == ("zip", file["blob"])


async def test_a_form_with_lines(clerk: Clerk) -> None:
    lines = [line("one"), line("two")]

    reply = await clerk.form(
        jsonl(lines),
        "upload",
        endpoint="/v1/chat/completions",
        completion_window="24h",
        coalesce="true",
        max_attempts="3",
        output_expires_after='{"anchor": "created_at", "seconds": 3600}',
    )
    made = reply.json()

    assert await clerk.lines_of(made["id"]) == [lines]
    row = await clerk.row(made["id"])
    assert (row["output_life_s"], row["options"]["coalesce"]) == (3600, True)
    assert (await clerk.rows(BatchInput))[0]["lines"] == 2


@pytest.mark.parametrize(
    ("name", "fields", "status", "param"),
    [
        ("a.zip", {}, 400, "model"),
        ("a.zip", {**FORM_TASK, "schema": "{"}, 400, "schema"),
        ("a.zip", {**FORM_TASK, "other": "1"}, 400, "other"),
        ("a.jsonl", FORM_TASK, 400, "model"),
        ("a.jsonl", {"input_file_id": "file-1"}, 400, "input_file_id"),
        ("a.jsonl", {"completion_window": "1y"}, 400, "completion_window"),
    ],
)
async def test_a_form_that_is_refused_keeps_nothing(
    clerk: Clerk, name: str, fields: dict[str, str], status: int, param: str
) -> None:
    reply = await clerk.form(b"content", name, **fields)

    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)
    assert await clerk.rows(Batch) == []
    assert clerk.blobs() == []


async def test_a_form_without_a_file(clerk: Clerk) -> None:
    reply = await clerk.client.post("/v1/batches", files={"model": (None, "sandbox/extract")})

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "file")


async def test_who_may_only_look_sends_no_form(clerk: Clerk, app: WholeApp) -> None:
    viewer = app.client_of(await app.key(Role.VIEWER))

    reply = await viewer.post("/v1/batches", files={"file": ("a.zip", b"")})

    assert reply.status_code == 403
