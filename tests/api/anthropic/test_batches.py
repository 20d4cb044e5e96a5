"""Message batches: from the requests in the body to the lines of the results."""

from collections.abc import Sequence
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import update

from api.anthropic.version import BETAS
from shared.auth.permissions import Role
from shared.batches.model import Batch
from shared.jobs.transitions import JobState, Reason
from tests.api.anthropic.messages import ANSWER, ASKED, MESSAGE
from tests.api.batches.leading import jobs, lead, read
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

PATH = "/v1/messages/batches"
Json = dict[str, Any]


def asked(*names: str, **params: Any) -> Json:
    return {"requests": [{"custom_id": each, "params": {**ASKED, **params}} for each in names]}


async def create(app: WholeApp, *names: str, path: str = PATH) -> Json:
    reply = await app.client.post(path, json=asked(*names))
    assert reply.status_code == 200, reply.text
    made: Json = reply.json()
    return made


async def got(app: WholeApp, path: str) -> Any:
    reply = await app.client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("prefix", ["", "/anthropic"])
async def test_from_the_requests_to_the_results(app: WholeApp, hand: Hand, prefix: str) -> None:
    path = f"{prefix}{PATH}"
    made = await create(app, "good", "bad", "gone", "late", path=path)
    await read(app)
    ids = await jobs(app)
    running = await got(app, f"{path}/{made['id']}")
    early = await app.client.get(f"{path}/{made['id']}/results")
    text = orjson.dumps({**MESSAGE, "content": [{"type": "text", "text": "ü\u2028"}]})
    await hand.end(await hand.claim(ids["good"]), answer=text)
    error = {"code": "bad_request", "message": "No.", "http_status": 400}
    bad = await hand.claim(ids["bad"])
    await hand.end(bad, JobState.FAILED, Reason.REJECTED, error=error)
    gone, late = await hand.claim(ids["gone"]), await hand.claim(ids["late"])
    await hand.end(gone, JobState.CANCELLED, Reason.CANCELLED)
    await hand.end(late, JobState.EXPIRED, Reason.DEADLINE)
    await lead(app)
    done = await got(app, f"{path}/{made['id']}")
    reply = await app.client.get(f"{prefix}{done['results_url']}")

    assert made["id"].startswith("msgbatch_")
    assert made["request_counts"] == running["request_counts"]
    assert running["request_counts"] == {
        "processing": 4,
        "succeeded": 0,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    assert (running["processing_status"], running["results_url"]) == ("in_progress", None)
    assert (early.status_code, early.json()["error"]["type"]) == (409, "conflict_error")
    assert early.headers["x-should-retry"] == "false"
    assert (done["processing_status"], done["type"]) == ("ended", "message_batch")
    assert done["request_counts"] == {
        "processing": 0,
        "succeeded": 1,
        "errored": 1,
        "canceled": 1,
        "expired": 1,
    }
    assert done["ended_at"] is not None
    assert reply.headers["content-type"] == "application/x-jsonl"
    _check_results(reply, bad.id)


def _check_results(reply: httpx.Response, bad: str) -> None:
    assert reply.content.isascii()
    assert reply.content.endswith(b"\n")
    lines = reply.content.removesuffix(b"\n").split(b"\n")
    results = {each["custom_id"]: each["result"] for each in map(orjson.loads, lines)}
    assert results["good"]["type"] == "succeeded"
    assert results["good"]["message"]["content"][0]["text"] == "ü\u2028"
    assert results["bad"]["type"] == "errored"
    told = results["bad"]["error"]
    assert (told["type"], told["request_id"]) == ("error", bad)
    assert (told["error"]["type"], told["error"]["message"]) == ("invalid_request_error", "No.")
    assert (results["gone"], results["late"]) == ({"type": "canceled"}, {"type": "expired"})


async def test_betas_hold_for_every_request(app: WholeApp) -> None:
    headers = {"anthropic-beta": "a-1"}
    made = (await app.client.post(PATH, json=asked("one"), headers=headers)).json()
    batch = await got(app, f"/v1/batches/{made['id'].replace('msgbatch_', 'batch_')}")
    lines = await app.client.get(f"/v1/files/{batch['input_file_id']}/content")

    assert orjson.loads(lines.content)["body"] == {**ASKED, BETAS: ["a-1"]}


async def test_it_is_an_ordinary_batch_elsewhere(app: WholeApp) -> None:
    made = await create(app, "one", "two")
    batch = await got(app, f"/v1/batches/{made['id'].replace('msgbatch_', 'batch_')}")
    lines = await app.client.get(f"/v1/files/{batch['input_file_id']}/content")

    assert (batch["status"], batch["endpoint"]) == ("in_progress", "/v1/messages")
    assert (batch["model"], batch["counts"]["pending"]) == ("sandbox/echo", 2)
    assert [orjson.loads(each) for each in lines.content.splitlines()] == [
        {"custom_id": name, "method": "POST", "url": "/v1/messages", "body": ASKED}
        for name in ("one", "two")
    ]


REFUSED: list[tuple[Any, str, str]] = [
    ({"requests": [{"custom_id": "a b", "params": ASKED}]}, "requests.0.custom_id", "a-z"),
    ({"requests": [{"params": ASKED}]}, "requests.0.custom_id", "characters"),
    ({"requests": [{"custom_id": "a", "params": 1}]}, "requests.0.params", "object"),
    ({"requests": [{"custom_id": "a", "params": {}, "x": 1}]}, "requests.0.x", "not known"),
    (asked("a", "b", "a"), "requests.2.custom_id", "used by an earlier"),
    (asked("a", stream=True), "requests.0.params.stream", "params.stream"),
    (asked("a", max_tokens="x"), "requests.0.params.max_tokens", "params.max_tokens"),
    (asked("a", model="nobody"), "requests.0.params.model", "nobody"),
    (asked("a", temperature=1), "requests.0.params.temperature", "2026-10-21"),
    ({"requests": []}, "requests", "one or more"),
    ({}, "requests", "missing"),
]


@pytest.mark.parametrize(("body", "param", "words"), REFUSED)
async def test_what_cannot_be_done_is_refused_at_once(
    app: WholeApp, body: Any, param: str, words: str
) -> None:
    headers = {"anthropic-version": "2026-10-21"}
    reply = await app.client.post(PATH, json=body, headers=headers)
    error = reply.json()["error"]

    assert (reply.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["details"]["param"] == param
    assert words in error["message"]
    assert _blobs(app) == []
    assert (await got(app, PATH))["data"] == []


def _blobs(app: WholeApp) -> Sequence[str]:
    folder = app.settings.data_dir / "blobs"
    return [str(each) for each in folder.rglob("*") if each.is_file()]


async def test_too_many_and_too_much(app: WholeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.anthropic.batch_intake.MOST_REQUESTS", 2)
    many = await app.client.post(PATH, json=asked("a", "b", "c"))
    monkeypatch.setattr("api.anthropic.batch_intake.MOST_BYTES", 50)
    much = await app.client.post(PATH, json=asked("a"))

    for reply, code in ((many, "too_many_lines"), (much, "body_too_large")):
        assert (reply.status_code, reply.json()["error"]["type"]) == (413, "request_too_large")
        assert reply.json()["error"]["details"]["error_code"] == code
    assert _blobs(app) == []


async def test_a_repeated_request_is_the_same_batch(app: WholeApp) -> None:
    headers = {"Idempotency-Key": "k"}
    first = await app.client.post(PATH, json=asked("a"), headers=headers)
    again = await app.client.post(PATH, json=asked("a"), headers=headers)
    other = await app.client.post(PATH, json=asked("b"), headers=headers)

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["error"]["details"]["error_code"]) == (
        422,
        "idempotency_mismatch",
    )
    assert len(_blobs(app)) == 1


async def test_lists_go_both_ways(app: WholeApp) -> None:
    made = [(await create(app, "one"))["id"] for _ in range(5)][::-1]
    line = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": ASKED}
    assert (await app.client.post("/v1/batches", json={"requests": [line]})).status_code == 200

    async def listed(query: str) -> tuple[list[str], bool]:
        page = await got(app, f"{PATH}?{query}")
        ids = [each["id"] for each in page["data"]]
        assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))
        return ids, page["has_more"]

    assert await listed("beta=true") == (made, False)
    assert await listed("limit=2") == (made[:2], True)
    assert await listed(f"limit=2&after_id={made[1]}") == (made[2:4], True)
    assert await listed(f"limit=2&after_id={made[3]}") == (made[4:], False)
    assert await listed(f"limit=2&before_id={made[4]}") == (made[2:4], True)
    assert await listed(f"limit=2&before_id={made[1]}") == (made[:1], False)
    for query in ("limit=0", "limit=1001", "after_id=x", "more=1", "after_id=a&before_id=b"):
        reply = await app.client.get(f"{PATH}?{query}")
        assert (reply.status_code, reply.json()["type"]) == (400, "error")


async def test_cancelled_before_a_line_was_stored(app: WholeApp) -> None:
    made = await create(app, "one", "two")
    early = await app.client.delete(f"{PATH}/{made['id']}")
    cancelled = (await app.client.post(f"{PATH}/{made['id']}/cancel")).json()
    again = (await app.client.post(f"{PATH}/{made['id']}/cancel")).json()
    await read(app)
    await lead(app)
    done = await got(app, f"{PATH}/{made['id']}")
    results = await app.client.get(done["results_url"])

    assert (early.status_code, early.json()["error"]["type"]) == (409, "conflict_error")
    assert cancelled["processing_status"] == again["processing_status"] == "canceling"
    assert cancelled["cancel_initiated_at"] is not None
    assert cancelled["request_counts"]["processing"] == 2
    assert (done["processing_status"], done["request_counts"]["canceled"]) == ("ended", 2)
    assert results.content.count(b'"result":{"type":"canceled"}}\n') == 2


async def test_deleted_when_it_has_ended(app: WholeApp, hand: Hand) -> None:
    made = await create(app, "one")
    await read(app)
    await hand.end(await hand.claim(), answer=ANSWER)
    await lead(app)
    late = await app.client.post(f"{PATH}/{made['id']}/cancel")
    deleted = await app.client.delete(f"{PATH}/{made['id']}")
    batch = await got(app, f"{PATH}/{made['id']}")
    results = await app.client.get(f"{PATH}/{made['id']}/results")

    assert (late.status_code, late.json()["error"]["type"]) == (409, "conflict_error")
    assert deleted.json() == {"id": made["id"], "type": "message_batch_deleted"}
    assert (batch["results_url"], batch["archived_at"] is None) == (None, False)
    assert results.status_code == 404


async def test_others_see_none_of_it(app: WholeApp) -> None:
    made = await create(app, "one")
    chat = {"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": ASKED}
    other = (await app.client.post("/v1/batches", json={"requests": [chat]})).json()["id"]
    viewer = app.client_of(await app.key(Role.VIEWER))
    for shown in ("msgbatch_none", "batch_none", other.replace("batch_", "msgbatch_")):
        reply = await app.client.get(f"{PATH}/{shown}")
        assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found_error")
        assert shown in reply.json()["error"]["message"]
    assert (await viewer.get(f"{PATH}/{made['id']}")).status_code == 200
    for reply in (
        await viewer.post(PATH, json=asked("a")),
        await viewer.post(f"{PATH}/{made['id']}/cancel"),
        await viewer.delete(f"{PATH}/{made['id']}"),
    ):
        assert (reply.status_code, reply.json()["error"]["type"]) == (403, "permission_error")
    async with app.resources.database.transaction() as db:
        await db.execute(update(Batch).values(tenant_id="ten_other"))
    assert (await app.client.get(f"{PATH}/{made['id']}")).status_code == 404
