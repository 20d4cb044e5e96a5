"""Many lines in one body: others are served meanwhile, and no limit of a single request holds for them."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
import pytest

from tests.api.batches.clerk import Clerk, line
from tests.api.whole_app import WholeApp

MANY = 200
SAID = [{"role": "user", "content": "hello"}]
PARTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
GOOGLES = "/v1beta/models/sandbox/echo:batchGenerateContent"
BODIES: dict[str, Any] = {
    "/v1/batches": {"requests": [line(str(each)) for each in range(MANY)]},
    "/anthropic/v1/messages/batches": {
        "requests": [
            {
                "custom_id": str(each),
                "params": {"model": "sandbox/echo", "max_tokens": 9, "messages": SAID},
            }
            for each in range(MANY)
        ]
    },
    GOOGLES: {
        "batch": {
            "inputConfig": {"requests": {"requests": [{"request": PARTS} for _ in range(MANY)]}}
        }
    },
    "/mistral/v1/batch/jobs": {
        "endpoint": "/v1/chat/completions",
        "requests": [{"body": {"messages": SAID}} for _ in range(MANY)],
        "model": "sandbox/echo",
    },
}


@pytest.mark.parametrize("path", BODIES)
async def test_others_have_their_turn_between_any_two_lines(
    app: WholeApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("api.batches.checking.TURN_S", -1.0)
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(another())
    reply = await app.client.post(path, json=BODIES[path])
    others.cancel()
    with suppress(asyncio.CancelledError):
        await others

    assert reply.status_code == 200, reply.text
    assert turns > MANY


@pytest.mark.parametrize("path", BODIES)
async def test_only_a_single_line_may_have_too_many_values(
    app: WholeApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    # The lines stand for themselves in what is read at once: each is one value of it.
    monkeypatch.setattr("api.body.MAX_VALUES", MANY + 10)

    reply = await app.client.post(path, json=BODIES[path])

    assert reply.status_code == 200, reply.text
    (batch,) = (await app.client.get("/v1/batches")).json()["data"]
    lines = await app.client.get(f"/v1/files/{batch['input_file_id']}/content")
    assert len(lines.content.splitlines()) == MANY


@pytest.mark.parametrize("path", BODIES)
async def test_a_long_line_is_given_on_in_pieces(
    app: WholeApp, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("api.batches.given.WRITTEN_BYTES", 1000)
    monkeypatch.setattr("api.batches.given.IN_PASSING_BYTES", 500)
    text = "é" * 5000
    raw = orjson.dumps(BODIES[path]).replace(b"hello", text.encode(), 1)

    headers = {"content-type": "application/json"}
    reply = await app.client.post(path, content=raw, headers=headers)

    assert reply.status_code == 200, reply.text
    (batch,) = (await app.client.get("/v1/batches")).json()["data"]
    lines = await app.client.get(f"/v1/files/{batch['input_file_id']}/content")
    first, *rest = [orjson.loads(each) for each in lines.content.splitlines()]
    assert text in orjson.dumps(first).decode()
    assert len(rest) == MANY - 1


NAMED = '{"requests": [{"custom_id": "1"}, {"a": 1, "a": 2}]}'
DEEP = '{"requests": [{"a": ' + "[" * 120 + "]" * 120 + "}]}"


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        (NAMED, "repeated_name", "requests.1"),
        (DEEP, "nested_too_deeply", "requests.0"),
        ('{"requests": [{"a": 1,}]}', "invalid_json", "requests.0"),
        ('{"requests": [{}], "requests": [{}]}', "repeated_name", "requests"),
        ('{"requests": [{}] "open": true}', "invalid_json", "body"),
        ('{"requests": []}', "invalid_field", "requests"),
    ],
)
async def test_lines_are_read_as_strictly_as_what_is_round_them(
    clerk: Clerk, body: str, code: str, at: str
) -> None:
    headers = {"content-type": "application/json"}
    reply = await clerk.client.post("/v1/batches", content=body, headers=headers)

    assert (reply.status_code, reply.json()["code"]) == (400, code)
    assert at in reply.json()["detail"]
    assert await clerk.nothing_stored()


async def test_what_is_no_object_is_a_wrong_line(clerk: Clerk) -> None:
    strange: list[Any] = [3, "text", None, [line("x")]]
    refused = await clerk.post(requests=[line("one"), *strange])
    made = await clerk.create(requests=[line("one"), *strange], on_invalid="skip")

    assert [each["line"] for each in refused.json()["line_errors"]] == [2, 3, 4, 5]
    assert {each["code"] for each in refused.json()["line_errors"]} == {"invalid_json_line"}
    assert [len(each) for each in await clerk.lines_of(made["id"])] == [5]
