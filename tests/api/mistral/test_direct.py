"""Mistral's chat, embeddings, models and files, for a client that is known by path or by name."""

import asyncio
from typing import Any

import orjson
import pytest

from shared.jobs.transitions import JobState, Reason
from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import USAGE, Hand, chunk, completion
from tests.api.whole_app import ADMIN_KEY, WholeApp

NAMED = {"user-agent": "mistral-client-python/3.7.0"}
HI = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}]}
ASKED = {**HI, "stream": False, "random_seed": 3, "tool_choice": "any", "safe_prompt": True}


async def body_of(hand: Hand, job_id: str) -> Any:
    (raw,) = await hand._column("SELECT body FROM job_request WHERE job_id = :id", id=job_id)
    return orjson.loads(raw)


@pytest.mark.parametrize(
    ("prefix", "headers"), [("/mistral", {}), ("", NAMED), ("/mistral", NAMED)]
)
async def test_a_chat(app: WholeApp, hand: Hand, prefix: str, headers: dict[str, str]) -> None:
    path = f"{prefix}/v1/chat/completions"
    asked = asyncio.create_task(app.client.post(path, json=ASKED, headers=headers))
    job = await hand.claim()
    await hand.end(job, answer=completion("hello", usage=None))
    reply = await asked

    assert reply.status_code == 200
    assert reply.json()["usage"] == dict.fromkeys(USAGE, 0)
    assert reply.json()["choices"][0]["message"]["content"] == "hello"
    assert await body_of(hand, job.id) == {
        **HI,
        "stream": False,
        "seed": 3,
        "tool_choice": "required",
        "penstock_mistral": {"safe_prompt": True},
    }


async def test_openais_clients_are_not_translated(app: WholeApp, hand: Hand) -> None:
    asked = asyncio.create_task(app.client.post("/v1/chat/completions", json=ASKED))
    job = await hand.claim()
    await hand.end(job, answer=completion("hello", usage=None))

    assert (await asked).json()["usage"] is None
    assert await body_of(hand, job.id) == ASKED


def streaming(app: WholeApp) -> Exchange:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    path = "/mistral/v1/chat/completions"
    return Exchange(app.app, path, {**HI, "stream": True}, headers)


async def test_a_stream(app: WholeApp, hand: Hand) -> None:
    async with streaming(app) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, chunk(), chunk("hel"))
        first = await exchange.piece()
        await hand.say(job, 2, chunk("lo"), chunk(finish="stop"))
        second = await exchange.piece()
        await hand.say(job, 3, {**chunk(), "choices": [], "usage": USAGE}, last=True)
        await hand.end(job, answer=completion("hello"))
        third = await exchange.rest()

    def data(value: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(value) + b"\n\n"

    assert first == data(chunk()) + data(chunk("hel"))
    assert second == data(chunk("lo"))
    assert third == data(chunk(finish="stop", usage=USAGE)) + b"data: [DONE]\n\n"


async def test_a_failure_in_the_middle_is_no_chunk_and_no_end(app: WholeApp, hand: Hand) -> None:
    async with streaming(app) as exchange:
        job = await hand.claim()
        await hand.say(job, 1, chunk(), chunk("hel"))
        await exchange.piece()
        error = {"code": "unavailable", "message": "the provider went away"}
        await hand.end(job, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
        raw = await exchange.rest()

    told = orjson.loads(raw.removeprefix(b"data: "))
    assert told["error"]["message"] == "the provider went away"
    assert b"[DONE]" not in raw


async def test_embeddings(app: WholeApp, hand: Hand) -> None:
    body = {"model": "sandbox/embed", "input": ["a"], "output_dimension": 4}
    asked = asyncio.create_task(app.client.post("/mistral/v1/embeddings", json=body))
    job = await hand.claim()
    vectors = [{"object": "embedding", "index": 0, "embedding": [1.5]}]
    answer = {"object": "list", "data": vectors, "model": "m", "usage": {"prompt_tokens": 2}}
    await hand.end(job, answer=orjson.dumps(answer))
    told = (await asked).json()

    assert (told["data"], told["usage"]["prompt_tokens"]) == (vectors, 2)
    assert told["id"].startswith("embd_")
    assert await body_of(hand, job.id) == {
        "model": "sandbox/embed",
        "input": ["a"],
        "dimensions": 4,
    }


async def test_errors(app: WholeApp) -> None:
    path = "/mistral/v1/chat/completions"
    unknown = await app.client.post(path, json={**HI, "model": "no/such"})
    keyed = {"idempotency-key": "one", "prefer": "respond-async"}
    await app.client.post(path, json=HI, headers=keyed)
    other = await app.client.post(path, json={**HI, "n": 2}, headers=keyed)

    assert unknown.status_code == 404
    assert unknown.json()["type"] == "model_not_found"
    assert unknown.json()["object"] == "error"
    assert other.status_code == 422
    assert other.json()["detail"][0]["type"] == "idempotency_mismatch"


async def test_files(app: WholeApp) -> None:
    client, content = app.client, b'{"body": {}}\n{"body": {}}'
    form = {"purpose": "batch", "visibility": "workspace"}
    upload = {"file": ("a.jsonl", content, "application/jsonl")}
    made = (await client.post("/mistral/v1/files", data=form, files=upload)).json()
    one = (await client.get(f"/mistral/v1/files/{made['id']}")).json()
    listed = (await client.get("/mistral/v1/files", params={"page_size": 1})).json()
    behind = (await client.get("/mistral/v1/files", params={"page": 1, "page_size": 1})).json()
    raw = await client.get(f"/mistral/v1/files/{made['id']}/content")
    ours = (await client.get(f"/v1/files/{made['id']}")).json()

    assert {made[name] for name in ("sample_type", "source", "visibility")} == {
        "batch_request",
        "upload",
        "workspace",
    }
    assert made["num_lines"] == 2
    assert one == {**made, "deleted": False}
    assert listed == {"object": "list", "data": [made], "total": 1}
    assert (behind["data"], behind["total"]) == ([], 1)
    assert (raw.content, raw.headers["content-type"]) == (content, "application/octet-stream")
    assert "sample_type" not in ours


@pytest.mark.parametrize(
    ("field", "value"), [("visibility", "user"), ("expiry", "3"), ("purpose", "ocr")]
)
async def test_a_file_that_is_refused(app: WholeApp, field: str, value: str) -> None:
    form = {"purpose": "batch", field: value}
    upload = {"file": ("a.jsonl", b"{}")}
    reply = await app.client.post("/mistral/v1/files", data=form, files=upload)

    assert (reply.status_code, reply.json()["param"]) == (400, field)
    blobs = app.settings.data_dir / "blobs"
    assert not [each for each in blobs.rglob("*") if each.is_file()]


@pytest.mark.parametrize("query", [{"search": "a"}, {"page": "-1"}, {"page_size": "0"}])
async def test_a_list_that_is_refused(app: WholeApp, query: dict[str, str]) -> None:
    for path in ("/mistral/v1/files", "/mistral/v1/batch/jobs"):
        reply = await app.client.get(path, params=query)
        assert (reply.status_code, reply.json()["param"]) == (400, next(iter(query)))
