"""The same request with the same key is the same batch, whatever happens to the limits meanwhile."""

import asyncio
from typing import Any

import pytest

from shared.batches.model import Batch, BatchInput
from shared.files.model import StoredFile
from tests.api.batches.clerk import Clerk, jsonl, line

LINES = [line("one")]


async def test_a_repeated_request_is_the_same_batch(clerk: Clerk) -> None:
    first = await clerk.post('"key-1"', requests=LINES)
    again = await clerk.post("key-1", requests=LINES, priority="bulk")

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["location"] == first.headers["location"]
    assert len(await clerk.rows(Batch)) == len(await clerk.rows(BatchInput)) == 1
    assert len(clerk.blobs()) == 1


async def test_another_request_with_the_key_is_refused(clerk: Clerk) -> None:
    await clerk.post("key-1", requests=LINES)
    job = {"endpoint": "/v1/chat/completions", "body": line("x")["body"]}
    headers = {"Idempotency-Key": "key-1"}

    for reply in (
        await clerk.post("key-1", requests=[line("two")]),
        await clerk.post("key-1", requests=LINES, priority="standard"),
        await clerk.client.post("/v1/jobs", json=job, headers=headers),
    ):
        assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_mismatch")
    assert len(await clerk.rows(Batch)) == 1


async def test_a_key_of_a_job_is_no_key_of_a_batch(clerk: Clerk) -> None:
    job = {"endpoint": "/v1/chat/completions", "body": line("x")["body"]}
    await clerk.client.post("/v1/jobs", json=job, headers={"Idempotency-Key": "key-1"})

    assert (await clerk.post("key-1", requests=LINES)).status_code == 422


async def test_a_refused_request_uses_up_no_key(clerk: Clerk) -> None:
    assert (await clerk.post("key-1", requests=[{}])).status_code == 400

    assert (await clerk.post("key-1", requests=LINES)).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\x01b"])
async def test_a_key_that_is_none(clerk: Clerk, key: str) -> None:
    reply = await clerk.post(key, requests=LINES)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_many_at_once_are_one(clerk: Clerk) -> None:
    replies = await asyncio.gather(*(clerk.post("key-1", requests=LINES) for _ in range(8)))

    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
    assert len(await clerk.rows(Batch)) == len(await clerk.rows(StoredFile)) == 1
    assert len(clerk.blobs()) == 1


async def test_a_form_is_known_by_its_bytes(clerk: Clerk) -> None:
    first = await clerk.form(jsonl(LINES), "a.jsonl", "key-1")
    again = await clerk.form(jsonl(LINES), "b.jsonl", "key-1")
    other = await clerk.form(jsonl([line("two")]), "a.jsonl", "key-1")

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert len(clerk.blobs()) == len(await clerk.rows(StoredFile)) == 1


async def test_lines_are_added_once(clerk: Clerk) -> None:
    batch_id = (await clerk.create(open=True))["id"]

    async def add(**more: Any) -> int:
        reply = await clerk.client.post(
            f"/v1/batches/{batch_id}/requests",
            json={"requests": [line("one", **more)]},
            headers={"Idempotency-Key": "key-1"},
        )
        return reply.status_code

    assert [await add(), await add(), await add(priority="standard")] == [202, 202, 422]
    assert len(await clerk.rows(BatchInput)) == 1
    assert len(clerk.blobs()) == 1


async def test_a_refused_addition_uses_up_no_key(clerk: Clerk) -> None:
    closed, still_open = (await clerk.create())["id"], (await clerk.create(open=True))["id"]
    headers, body = {"Idempotency-Key": "key-1"}, {"requests": LINES}

    replies = [
        await clerk.client.post(f"/v1/batches/{each}/requests", json=body, headers=headers)
        for each in (closed, still_open)
    ]

    assert [reply.status_code for reply in replies] == [409, 202]
