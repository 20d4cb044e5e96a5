"""Google's batches: from inline requests to an answer or an error for each, in their order."""

from typing import Any

import orjson
import pytest
from sqlalchemy import update

from shared.batches.model import Batch, BatchState
from shared.clock import now_ms
from shared.jobs.transitions import JobState, Reason
from tests.api.batches.clerk import Clerk
from tests.api.batches.leading import jobs, lead, read
from tests.api.documented import Checked
from tests.api.gemini.asking import HELLO, act, answer
from tests.api.openai.hand import Hand
from tests.api.whole_app import ADMIN_KEY, WholeApp

CREATE = act("batchGenerateContent")
GOOGLES = {"x-goog-api-key": ADMIN_KEY}


def inline(*requests: Any, **more: Any) -> dict[str, Any]:
    given = [each if "request" in each else {"request": each} for each in requests]
    return {"batch": {"inputConfig": {"requests": {"requests": given}}, **more}}


async def create(app: WholeApp, *requests: Any, **more: Any) -> dict[str, Any]:
    reply = await app.client.post(CREATE, json=inline(*requests or (HELLO,), **more))
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def got(app: WholeApp, name: str, prefix: str = "/v1beta") -> dict[str, Any]:
    reply = await app.client.get(f"{prefix}/{name}", headers=GOOGLES)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


async def test_a_batch_from_its_requests_to_its_answers(app: WholeApp, hand: Hand) -> None:
    noted = {"request": {**HELLO, "model": "models/limited"}, "metadata": {"key": "é"}}
    made = await create(app, HELLO, noted, displayName="mine")
    (stored,) = await Clerk(app).lines_of(made["name"].removeprefix("batches/"))
    await read(app)
    running = await got(app, made["name"], "/v1")
    named = await jobs(app)
    whole = answer("zwei \u2028")
    await hand.end(await hand.claim(named["2"]), answer=orjson.dumps(whole))
    failed = await hand.claim(named["1"])
    error = {"code": "bad_request", "message": "no"}
    await hand.end(failed, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
    await lead(app)
    over = await got(app, made["name"], "/gemini/v1")

    assert stored == [
        {
            "custom_id": "1",
            "method": "POST",
            "url": "/v1beta/models/{model}:generateContent",
            "body": {**HELLO, "model": "sandbox/echo"},
        },
        {
            "custom_id": "2",
            "method": "POST",
            "url": "/v1beta/models/{model}:generateContent",
            "metadata": {"key": "é"},
            "body": {**HELLO, "model": "limited"},
        },
    ]
    states = [each["metadata"]["state"] for each in (made, running, over)]
    assert states == ["BATCH_STATE_RUNNING", "BATCH_STATE_RUNNING", "BATCH_STATE_SUCCEEDED"]
    assert made["metadata"]["batchStats"]["pendingRequestCount"] == "2"
    assert "model" not in made["metadata"]
    assert [each["done"] for each in (made, running, over)] == [False, False, True]
    assert made["metadata"]["displayName"] == "mine"
    assert over["metadata"]["batchStats"] == {
        "requestCount": "2",
        "pendingRequestCount": "0",
        "successfulRequestCount": "1",
        "failedRequestCount": "1",
    }
    # In the order of the requests, not of their ends.
    outcomes = over["metadata"]["output"]["inlinedResponses"]["inlinedResponses"]
    assert outcomes == [
        {"error": {"code": 3, "message": "no"}},
        {"response": whole, "metadata": {"key": "é"}},
    ]
    assert over["response"]["inlinedResponses"]["inlinedResponses"] == outcomes


async def test_lists_are_of_googles_alone(app: WholeApp) -> None:
    await Clerk(app).create()
    names = [(await create(app))["name"] for _ in range(3)]
    first = (await app.client.get("/v1beta/batches", params={"pageSize": 2})).json()
    query = {"pageSize": 2, "pageToken": first["nextPageToken"]}
    second = (await app.client.get("/v1/batches", params=query, headers=GOOGLES)).json()
    openais = (await app.client.get("/v1/batches")).json()

    listed = [each["name"] for page in (first, second) for each in page["operations"]]
    assert listed == names[::-1]
    assert "nextPageToken" not in second
    assert len(openais["data"]) == 4


async def test_cancel_and_delete(app: WholeApp) -> None:
    name = (await create(app))["name"]
    early = await app.client.delete(f"/v1/{name}", headers=GOOGLES)
    await read(app)
    stopped = await app.client.post(f"/v1/{name}:cancel")
    await lead(app)
    over = await got(app, name)
    gone = await app.client.delete(f"/v1beta/{name}")

    assert (early.status_code, early.json()["error"]["status"]) == (409, "ABORTED")
    assert (stopped.json(), gone.json()) == ({}, {})
    assert over["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    (outcome,) = over["response"]["inlinedResponses"]["inlinedResponses"]
    assert outcome["error"]["code"] == 1
    assert "response" not in await got(app, name)


async def test_cancelled_before_a_line_was_stored_each_has_an_end(app: WholeApp) -> None:
    made = await create(app, HELLO, HELLO, HELLO)
    await app.client.post(f"/v1beta/{made['name']}:cancel")
    await read(app)
    await lead(app)
    over = await got(app, made["name"])

    assert made["metadata"]["model"] == "models/sandbox/echo"
    outcomes = over["response"]["inlinedResponses"]["inlinedResponses"]
    assert [each["error"]["code"] for each in outcomes] == [1, 1, 1]


async def test_others_batches_are_none_of_googles(app: WholeApp) -> None:
    other = (await Clerk(app).create())["id"]

    for method, path in (("GET", ""), ("POST", ":cancel"), ("DELETE", "")):
        reply = await app.client.request(method, f"/v1beta/batches/{other}{path}")
        assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"batch": {"inputConfig": {"fileName": "files/1"}}},
        inline(),
        inline({"contents": []}),
        inline({"request": 3}),
        inline({"request": HELLO, "metadata": {"key": 3}}),
        inline({"request": HELLO, "more": 1}),
        inline({**HELLO, "model": "no/such"}),
    ],
)
async def test_what_is_refused_leaves_nothing(app: WholeApp, asked: dict[str, Any]) -> None:
    reply = await app.client.post(CREATE, json=asked)

    assert (reply.status_code, reply.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert await Clerk(app).nothing_stored()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (inline({"contents": []}), "`request.contents`"),
        (inline(HELLO, {"request": HELLO, "more": 1}), "`requests.1.more`"),
        (inline({"request": 3}), "`request` must be"),
    ],
)
async def test_a_refusal_speaks_of_googles_fields(
    app: WholeApp, asked: dict[str, Any], words: str
) -> None:
    reply = await app.client.post(CREATE, json=asked)
    message = reply.json()["error"]["message"]

    assert words in message
    assert "body" not in message
    assert "on_invalid" not in message


async def test_what_stands_beside_a_request_belongs_to_it(app: WholeApp) -> None:
    """As google-genai 1.30 writes it."""
    said = {"parts": [{"text": "Be brief."}]}
    beside = {"request": HELLO, "systemInstruction": said, "cachedContent": "a"}
    inside = {"request": {**HELLO, "systemInstruction": said}, "systemInstruction": {}}
    made = await create(app, beside, inside)
    (stored,) = await Clerk(app).lines_of(made["name"].removeprefix("batches/"))

    model = {"model": "sandbox/echo"}
    assert stored[0]["body"] == {
        **HELLO,
        "systemInstruction": said,
        "cachedContent": "a",
        **model,
    }
    assert stored[1]["body"] == {**HELLO, "systemInstruction": said, **model}


async def test_a_repeated_request_is_the_same_batch(app: WholeApp) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await app.client.post(CREATE, json=inline(HELLO), headers=headers)
    again = await app.client.post(CREATE, json=inline(HELLO), headers=headers)
    other = await app.client.post(CREATE, json=inline(HELLO, HELLO), headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert other.status_code == 422
    assert len(Clerk(app).blobs()) == 1


async def test_a_failed_batch_has_an_error_and_no_response(app: WholeApp) -> None:
    made = await create(app)
    failed = {"state": BatchState.FAILED, "finished_at": now_ms()}
    errors = [{"code": "x", "line": None, "message": "It is gone.", "param": None}]
    async with app.resources.database.transaction() as db:
        await db.execute(update(Batch).values(**failed, errors=errors))
    told = await got(app, made["name"])

    assert (told["done"], told["metadata"]["state"]) == (True, "BATCH_STATE_FAILED")
    # google.rpc.Code.INVALID_ARGUMENT
    assert told["error"] == {"code": 3, "message": "It is gone."}
    assert "response" not in told


async def test_a_model_that_there_is_not(app: WholeApp) -> None:
    reply = await app.client.post(act("batchGenerateContent", "no/such"), json=inline(HELLO))

    assert (reply.status_code, reply.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_answers_are_as_documented(app: WholeApp) -> None:
    transport = Checked(app.client._transport)
    app.client._transport = transport
    made = await app.client.post(act("batchGenerateContent", "limited"), json=inline(HELLO))
    name = made.json()["name"]
    await app.client.post(act("batchGenerateContent", "limited"), json={})
    await app.client.get("/v1beta/batches")
    await app.client.get(f"/v1beta/{name}")
    await app.client.post(f"/v1beta/{name}:cancel")
    await app.client.post(f"/v1/{name}:cancel")
    await app.client.delete(f"/v1beta/{name}")
    await read(app)
    await lead(app)
    await app.client.get(f"/v1beta/{name}")
    await app.client.get("/v1beta/batches/none")

    assert {status for _, _, status in transport.seen} == {200, 400, 404, 409}
