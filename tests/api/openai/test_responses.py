"""`/v1/responses` without a stream: now, in the background, again by its id, and what is kept of it."""

from typing import Any

import httpx
import orjson
import pytest

from shared.auth import issuing, store
from shared.auth.permissions import Role
from shared.jobs.transitions import JobState, Reason
from tests.api.openai.direct import asking
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

PATH = "/v1/responses"
ASKED = {"model": "sandbox/echo", "input": "hello"}
LATER = {**ASKED, "background": True}
# What the Open Responses schema wants to be there, and what of it must not be null.
REQUIRED = frozenset(
    {
        *("id", "object", "created_at", "status", "model", "output", "tools", "tool_choice"),
        *("truncation", "parallel_tool_calls", "text", "top_p", "presence_penalty", "top_logprobs"),
        *("frequency_penalty", "temperature", "store", "background", "service_tier", "metadata"),
    }
)
NULLABLE = frozenset(
    {
        *("completed_at", "incomplete_details", "previous_response_id", "instructions", "error"),
        *("reasoning", "usage", "max_output_tokens", "max_tool_calls", "safety_identifier"),
        "prompt_cache_key",
    }
)


async def post(app: WholeApp, path: str = PATH, /, **body: Any) -> httpx.Response:
    return await app.client.post(path, json={**LATER, **body})


async def done(app: WholeApp, **body: Any) -> dict[str, Any]:
    """Have a response made, and return it as it is kept."""
    reply = await post(app, **body)
    assert reply.status_code == 200, reply.text
    await app.work(job_of(reply.json()))
    return await get(app, reply.json()["id"])


async def get(app: WholeApp, response_id: str) -> dict[str, Any]:
    reply = await app.client.get(f"{PATH}/{response_id}")
    assert reply.status_code == 200, reply.text
    whole: dict[str, Any] = reply.json()
    assert whole.keys() >= REQUIRED | NULLABLE
    assert [name for name in REQUIRED if whole[name] is None] == []
    return whole


def job_of(response: dict[str, Any]) -> str:
    return "job_" + str(response["id"]).removeprefix("resp_")


async def test_an_answer_now_can_be_had_again(app: WholeApp, hand: Hand) -> None:
    asked = asking(app, {**ASKED, "metadata": {"a": "b"}}, PATH)
    job = await hand.claim()
    whole = {"id": f"resp_{job.id[4:]}", "object": "response", "status": "completed", "output": []}
    await hand.end(job, answer=orjson.dumps(whole))
    reply = await asked

    assert reply.status_code == 200
    assert reply.headers["penstock-job-id"] == job.id
    assert reply.json()["completed_at"] > 0
    again = await app.client.get(f"{PATH}/{whole['id']}")
    assert again.json()["id"] == whole["id"]


async def test_one_in_the_background_is_answered_at_once_and_goes_on(app: WholeApp) -> None:
    reply = await post(app, instructions="Be brief.", metadata={"a": "b"}, temperature=0.5)
    made = reply.json()
    assert (made["status"], made["output"], made["background"]) == ("queued", [], True)
    assert made["instructions"] == "Be brief."
    assert await get(app, made["id"]) == made

    await app.work(job_of(made))
    whole = await get(app, made["id"])

    assert whole["status"] == "completed"
    assert whole["output"][0]["content"][0]["text"] == "[sandbox] You said: hello"
    assert whole["usage"]["total_tokens"] > 0
    assert whole["completed_at"] >= whole["created_at"]
    same = ("id", "created_at", "model", "metadata", "instructions", "temperature", "background")
    assert [whole[name] for name in same] == [made[name] for name in same]


async def test_its_status_is_its_jobs(app: WholeApp, hand: Hand) -> None:
    made = (await post(app)).json()
    job = await hand.claim(job_of(made))
    assert (await get(app, made["id"]))["status"] == "in_progress"
    error = {"code": "rate_limited", "message": "too many"}
    await hand.end(job, JobState.EXPIRED, Reason.DEADLINE, error=error)
    failed = await get(app, made["id"])
    assert (failed["status"], failed["output"]) == ("failed", [])
    assert failed["error"] == {"code": "rate_limit_exceeded", "message": "too many"}

    again = await app.client.post(f"/v1/jobs/{job_of(made)}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_retryable")
    assert (await get(app, made["id"]))["status"] == "failed"


async def test_a_conversation_goes_on_without_its_instructions(app: WholeApp) -> None:
    first = await done(app, instructions="Be brief.")
    then = await done(app, input="and then?", previous_response_id=first["id"])
    last = await done(
        app, input=[{"role": "user", "content": "?"}], previous_response_id=then["id"]
    )
    assert last["previous_response_id"] == then["id"]
    assert last["instructions"] is None

    async def page(**query: Any) -> Any:
        path = f"{PATH}/{last['id']}/input_items"
        return (await app.client.get(path, params=query)).json()

    every = await page(order="asc", limit=100)
    said = [item["content"][0]["text"] for item in every["data"]]
    assert said == [
        "hello",
        "[sandbox] You said: hello",
        "and then?",
        "[sandbox] You said: and then?",
        "?",
    ]
    ids = [item["id"] for item in every["data"]]
    assert len(set(ids)) == 5
    assert (every["first_id"], every["last_id"], every["has_more"]) == (ids[0], ids[-1], False)
    some = await page(limit=2)
    assert ([each["id"] for each in some["data"]], some["has_more"]) == (ids[:2:-1], True)
    rest = await page(limit=3, after=some["last_id"])
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    assert (await page(after="msg_x"))["code"] == "invalid_cursor"


async def test_an_item_of_ours_can_be_referred_to(app: WholeApp) -> None:
    first = await done(app)
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    then = await done(app, input=[reference, {"role": "user", "content": "?"}])
    items = (await app.client.get(f"{PATH}/{then['id']}/input_items")).json()["data"]
    assert items[-1] == first["output"][0]


async def test_a_job_may_go_on_with_a_conversation(app: WholeApp) -> None:
    first = await done(app)
    body = {**ASKED, "input": "and?", "previous_response_id": first["id"]}
    reply = await app.client.post("/v1/jobs", json={"endpoint": PATH, "body": body})
    await app.work(reply.json()["id"])
    job = (await app.client.get(f"/v1/jobs/{reply.json()['id']}")).json()
    whole = job["result"]["body"]
    assert whole.keys() >= REQUIRED | NULLABLE
    assert job_of(whole) == job["id"]
    kept = await get(app, whole["id"])
    assert {**kept, "completed_at": None} == whole


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"previous_response_id": "resp_none"}, 404, "response_not_found", "previous_response_id"),
        ({"previous_response_id": 7}, 400, "invalid_request", "previous_response_id"),
        ({"conversation": "conv_1"}, 400, "unsupported_parameter", "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, 400, "unsupported_parameter", "prompt"),
        ({"input": [{"id": "msg_1", "type": "item_reference"}]}, 400, "item_not_found", "input[0]"),
        ({"input": [{"id": "msg_0abc_1"}]}, 400, "item_not_found", "input[0]"),
        ({"input": None}, 400, "invalid_field", "input"),
    ],
)
async def test_what_cannot_be_is_refused_by_its_name(
    app: WholeApp, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    for background in (True, False):
        reply = await post(app, **body, background=background)
        assert reply.status_code == status
        error = reply.json()["error"]
        assert (error["code"], error["param"]) == (code, param)


async def test_one_that_has_not_ended_cannot_be_gone_on_with(app: WholeApp) -> None:
    made = (await post(app)).json()
    reply = await post(app, previous_response_id=made["id"])
    assert reply.status_code == 400
    assert reply.json()["code"] == "previous_response_not_completed"


async def test_another_tenant_finds_nothing(app: WholeApp) -> None:
    made = await done(app)
    resources = app.resources
    async with resources.database.transaction() as db:
        other = await store.ensure_tenant(db, id="ten_other", name="other", created_at=1)
    _, key = await issuing.issue(
        resources.database, resources.secret_key, tenant_id=other, name="x", role=Role.ADMIN
    )
    stranger = app.client_of(key)
    one = f"{PATH}/{made['id']}"
    replies = [
        await stranger.get(one),
        await stranger.get(one, params={"stream": "true"}),
        await stranger.get(f"{one}/input_items"),
        await stranger.post(f"{one}/cancel"),
        await stranger.delete(one),
        await stranger.post(PATH, json={**ASKED, "previous_response_id": made["id"]}),
    ]
    assert [each.status_code for each in replies] == [404] * 6
    assert (await get(app, made["id"]))["status"] == "completed"


async def test_a_job_of_another_kind_is_no_response(app: WholeApp) -> None:
    job_id = await app.submit("hello")
    reply = await app.client.get(f"{PATH}/resp_{job_id.removeprefix('job_')}")
    assert (reply.status_code, reply.json()["code"]) == (404, "response_not_found")


async def test_cancelling_ends_it_for_good(app: WholeApp, hand: Hand) -> None:
    waiting, running = (await post(app)).json(), (await post(app)).json()
    job = await hand.claim(job_of(running))
    cancelled = await app.client.post(f"{PATH}/{waiting['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert (await app.client.post(f"{PATH}/{waiting['id']}/cancel")).json() == cancelled.json()

    asked = asking(app, {}, f"{PATH}/{running['id']}/cancel")
    await hand.stopped(job.id)
    await hand.end(job, JobState.CANCELLED, Reason.CANCELLED)
    assert (await asked).json()["status"] == "cancelled"
    assert (await get(app, running["id"]))["error"] is None


async def test_only_what_runs_in_the_background_can_be_cancelled(app: WholeApp) -> None:
    headers = {"Prefer": "respond-async"}
    job = (await app.client.post(PATH, json=ASKED, headers=headers)).json()
    assert job["object"] == "job"
    reply = await app.client.post(f"{PATH}/resp_{job['id'].removeprefix('job_')}/cancel")
    assert (reply.status_code, reply.json()["code"]) == (400, "not_in_background")


@pytest.mark.parametrize("ended", [True, False])
async def test_deleting_removes_what_was_kept(app: WholeApp, ended: bool) -> None:
    made = (await post(app)).json()
    if ended:
        await app.work(job_of(made))
    one = f"{PATH}/{made['id']}"
    reply = await app.client.delete(one)
    assert reply.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert (await app.client.get(one)).json()["code"] == "response_not_found"
    assert (await app.client.delete(one)).status_code == 404
    assert (await app.client.get(f"/v1/jobs/{job_of(made)}/result")).status_code == 410


async def test_what_is_not_to_be_stored_is_not_to_be_had(app: WholeApp) -> None:
    headers = {"Prefer": "respond-async"}
    body = {**ASKED, "store": False}
    job = (await app.client.post(PATH, json=body, headers=headers)).json()
    await app.work(job["id"])
    one = f"{PATH}/resp_{job['id'].removeprefix('job_')}"
    assert (await app.client.get(one)).status_code == 404
    assert (await post(app, previous_response_id=one.rpartition("/")[2])).status_code == 404


async def test_in_the_background_it_can_be_polled_for_a_while(app: WholeApp, hand: Hand) -> None:
    made = await done(app, store=False)
    assert made["store"] is False
    async with app.resources.database.transaction() as db:
        past = f"UPDATE job SET finished_at = finished_at - 600001 WHERE id = '{job_of(made)}'"
        await db.exec_driver_sql(past)
    assert (await app.client.get(f"{PATH}/{made['id']}")).status_code == 404


async def test_a_repeated_request_is_the_same_response(app: WholeApp) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await app.client.post(PATH, json=LATER, headers=headers)
    await app.work(job_of(first.json()))
    again = await app.client.post(PATH, json=LATER, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "completed")


async def test_tokens_are_counted(app: WholeApp) -> None:
    headers = {"Prefer": "respond-async"}
    path = f"{PATH}/input_tokens"
    job = (await app.client.post(path, json=ASKED, headers=headers)).json()
    await app.work(job["id"])
    counted = (await app.client.get(f"/v1/jobs/{job['id']}/result")).json()
    assert counted["object"] == "response.input_tokens"
    assert counted["input_tokens"] > 0


@pytest.mark.parametrize("path", ["/v1", "/openai/v1"])
async def test_it_is_served_under_both_prefixes(app: WholeApp, path: str) -> None:
    made = (await app.client.post(f"{path}/responses", json=LATER)).json()
    assert (await app.client.get(f"{path}/responses/{made['id']}")).json() == made
