"""The end of a response in the background, told to receivers in OpenAI's words."""

from typing import Any

import orjson
import pytest
from sqlalchemy import select

from api.webhooks.sample import sample_delivery
from shared.database import fetch
from shared.events.event import EventType
from shared.jobs.claims import ClaimEnd, Result
from shared.jobs.transitions import JobState
from shared.webhooks.model import WebhookDelivery
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

PATH = "/v1/responses"
LATER = {"model": "sandbox/echo", "input": "hello", "background": True}
WORDS = [f"response.{each}" for each in ("completed", "failed", "cancelled", "incomplete")]
ANSWER = Result(200, b"{}")


async def listen(app: WholeApp, *types: str) -> None:
    asked = {"name": "r", "url": "https://example.com/hook", "event_types": types}
    reply = await app.client.post("/v1/webhook_endpoints", json=asked)
    assert reply.status_code == 200, reply.text


async def deliveries(app: WholeApp) -> list[Any]:
    table = WebhookDelivery.__table__  # type: ignore[attr-defined]
    async with app.resources.database.reading() as db:
        return list(await fetch(db, select(table).order_by(table.c.id)))


@pytest.mark.parametrize(
    ("state", "result", "word"),
    [
        (JobState.COMPLETED, ANSWER, "completed"),
        (JobState.COMPLETED, Result(200, b"{}", incomplete=True), "incomplete"),
        (JobState.FAILED, None, "failed"),
        (JobState.EXPIRED, None, "failed"),
        (JobState.CANCELLED, None, "cancelled"),
    ],
)
async def test_the_end_is_told_once(
    app: WholeApp,
    hand: Hand,
    state: JobState,
    result: Result | None,
    word: str,
) -> None:
    await listen(app, *WORDS)
    made = (await app.client.post(PATH, json=LATER)).json()
    job = await hand.claim()
    assert await deliveries(app) == []
    assert await hand.journal.end(ClaimEnd(job, state, result=result))

    (row,) = await deliveries(app)
    told = orjson.loads(row["body"])
    assert (row["event_type"], row["job_id"]) == (f"response.{word}", job.id)
    assert told["data"] == {"id": made["id"]}
    assert told["id"] == row["event_id"] == f"evt_{job.id.removeprefix('job_')}_3_response"
    assert (told["object"], told["type"]) == ("event", f"response.{word}")


async def test_a_cancellation_by_its_owner_is_told(app: WholeApp) -> None:
    await listen(app, *WORDS)
    made = (await app.client.post(PATH, json=LATER)).json()
    await app.client.post(f"{PATH}/{made['id']}/cancel")
    (row,) = await deliveries(app)
    assert row["event_type"] == "response.cancelled"


async def test_who_listens_to_all_is_told_of_both_under_two_names(
    app: WholeApp, hand: Hand
) -> None:
    await listen(app)
    await app.client.post(PATH, json=LATER)
    await hand.journal.end(ClaimEnd(await hand.claim(), JobState.COMPLETED, result=ANSWER))
    rows = await deliveries(app)
    ends = [each for each in rows if each["event_type"].endswith("completed")]
    assert {each["event_type"] for each in ends} == {"job.completed", "response.completed"}
    assert len({each["event_id"] for each in rows}) == len(rows)


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions"])
async def test_what_is_waited_for_is_no_news(app: WholeApp, hand: Hand, path: str) -> None:
    await listen(app, *WORDS)
    body = {"model": "sandbox/echo", "input": "x", "messages": [{"role": "user", "content": "x"}]}
    await app.client.post(path, json=body, headers={"Prefer": "respond-async"})
    await hand.journal.end(ClaimEnd(await hand.claim(), JobState.COMPLETED, result=ANSWER))
    assert await deliveries(app) == []


@pytest.mark.parametrize("word", WORDS)
def test_a_sample_looks_like_the_real_one(word: str) -> None:

    row = sample_delivery({"id": "whe_1", "tenant_id": "t", "url": "u"}, EventType(word))
    told = orjson.loads(row["body"])
    assert told["data"].keys() == {"id"}
    assert told["data"]["id"].startswith("resp_")
    assert row["job_id"] == told["data"]["id"].replace("resp_", "job_")
