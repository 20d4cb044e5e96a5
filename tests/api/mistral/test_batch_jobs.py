"""`/v1/batch/jobs`: from Mistral's lines to its counters, files and inline outputs."""

from typing import Any

import pytest

from shared.batches.model import BatchInput
from shared.jobs.transitions import JobState, Reason
from tests.api.batches.clerk import Clerk, jsonl
from tests.api.batches.leading import jobs, lead, read
from tests.api.openai.hand import Hand, completion
from tests.api.whole_app import WholeApp

PATH = "/mistral/v1/batch/jobs"
MESSAGES = [{"role": "user", "content": "hi"}]
ASKED = {"endpoint": "/v1/chat/completions", "model": "sandbox/echo"}


def line(custom_id: str | None = None, **body: Any) -> dict[str, Any]:
    named = {} if custom_id is None else {"custom_id": custom_id}
    return {**named, "body": {"messages": MESSAGES, **body}}


async def create(app: WholeApp, **more: Any) -> dict[str, Any]:
    reply = await app.client.post(PATH, json={**ASKED, **more})
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def got(app: WholeApp, batch_id: str, query: str = "") -> dict[str, Any]:
    reply = await app.client.get(f"{PATH}/{batch_id}{query}")
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


async def test_requests_in_the_body(app: WholeApp, hand: Hand) -> None:
    clerk = Clerk(app)
    requests = [line("good", random_seed=1), line()]
    made = await create(app, requests=requests, metadata={"a": "b"}, timeout_hours=2)
    (stored,) = await clerk.lines_of(made["id"])
    await read(app)
    running = await got(app, made["id"])
    named = await jobs(app)
    await hand.end(await hand.claim(named["good"]), answer=completion("hello"))
    error = {"code": "bad_request", "message": "no"}
    failed = await hand.claim(named["1"])
    await hand.end(failed, JobState.FAILED, Reason.ATTEMPTS_EXHAUSTED, error=error)
    await lead(app)
    over = await got(app, made["id"])
    inline = await got(app, made["id"], "?inline=true")
    output = await app.client.get(f"/mistral/v1/files/{over['output_file']}")

    body = {"model": "sandbox/echo", "messages": MESSAGES}
    envelope = {"method": "POST", "url": "/v1/chat/completions"}
    assert stored == [
        {**envelope, "custom_id": "good", "body": {**body, "seed": 1}},
        {**envelope, "custom_id": "1", "body": body},
    ]
    assert (made["status"], running["status"], over["status"]) == ("QUEUED", "RUNNING", "SUCCESS")
    assert made["metadata"] == {"a": "b"}
    assert [over[f"{name}_requests"] for name in ("total", "completed", "succeeded", "failed")] == [
        2,
        2,
        1,
        1,
    ]
    assert made["created_at"] <= over["started_at"] <= over["completed_at"]
    assert output.json()["sample_type"] == "batch_result"
    assert output.json()["source"] == "mistral"
    assert [each["custom_id"] for each in inline["outputs"]] == ["good", "1"]
    assert inline["outputs"][0]["response"]["status_code"] == 200
    assert {**inline, "outputs": None} == over


async def test_files_are_copied_line_by_line(app: WholeApp) -> None:
    clerk = Clerk(app)
    one = await clerk.upload(jsonl([line("a", random_seed=1)]))
    two = await clerk.upload(b'\n{"body": {}}\nnonsense')
    made = await create(app, input_files=[one, two])
    (blob,) = [row["blob"] for row in await clerk.rows(BatchInput)]
    raw = await app.resources.blobs.get(blob)
    await read(app)
    over = await got(app, made["id"])

    assert made["input_files"] == over["input_files"] == [one, two]
    assert len(raw.splitlines()) == 3
    assert raw.endswith(b"nonsense\n")
    assert over["status"] == "FAILED"
    assert [each["count"] for each in over["errors"]] == [1, 1]
    assert over["errors"][0]["message"].startswith("Line 2: `body.messages` is missing")


async def test_lists(app: WholeApp) -> None:
    ids = [(await create(app, requests=[line()]))["id"] for _ in range(3)]
    await app.client.post(f"{PATH}/{ids[0]}/cancel")
    listed = (await app.client.get(PATH, params={"page_size": 2})).json()
    second = (await app.client.get(PATH, params={"page_size": 2, "page": 1})).json()
    oldest = (await app.client.get(PATH, params={"order_by": "created", "page_size": 1})).json()
    status = {"status": ["CANCELLATION_REQUESTED", "SUCCESS"]}
    stopped = (await app.client.get(PATH, params=status)).json()
    other = (await app.client.get(PATH, params={"model": "other"})).json()
    later = (await app.client.get(PATH, params={"created_after": "2999-01-01T00:00:00Z"})).json()

    assert [each["id"] for each in listed["data"] + second["data"]] == ids[::-1]
    assert (listed["object"], listed["total"], second["total"]) == ("list", 3, 3)
    assert [each["id"] for each in oldest["data"]] == ids[:1]
    assert [each["id"] for each in stopped["data"]] == ids[:1]
    assert (other["total"], later["total"]) == (0, 0)


async def test_cancel_and_delete(app: WholeApp) -> None:
    made = await create(app, requests=[line()])
    early = await app.client.delete(f"{PATH}/{made['id']}")
    stopped = await app.client.post(f"{PATH}/{made['id']}/cancel")
    await read(app)
    await lead(app)
    over = await got(app, made["id"])
    gone = await app.client.delete(f"{PATH}/{made['id']}")

    assert (early.status_code, early.json()["type"]) == (409, "not_finished")
    assert stopped.json()["status"] == "CANCELLATION_REQUESTED"
    assert over["status"] == "CANCELLED"
    assert gone.json() == {"id": made["id"], "object": "batch", "deleted": True}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "input_files"),
        ({"requests": [line()], "input_files": ["file-1"]}, "input_files"),
        ({"requests": [line()], "endpoint": "/v1/messages"}, "endpoint"),
        ({"requests": [line()], "agent_id": "ag_1"}, "agent_id"),
        ({"requests": [line()], "timeout_hours": 0}, "timeout_hours"),
        ({"requests": [{"body": {}}]}, "requests"),
        ({"requests": [line(), line("0")]}, "requests"),
        ({"requests": [3]}, "requests"),
        ({"input_files": ["file-1"]}, "input_files"),
        ({"requests": [line()], "model": "no/such"}, "model"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    app: WholeApp, asked: dict[str, Any], param: str
) -> None:
    reply = await app.client.post(PATH, json={**ASKED, **asked})

    assert reply.status_code in {400, 404}
    assert (reply.json()["object"], reply.json()["param"]) == ("error", param)
    assert await Clerk(app).nothing_stored()


async def test_the_same_key_is_the_same_batch(app: WholeApp) -> None:
    headers = {"idempotency-key": "one"}
    asked = {**ASKED, "requests": [line()]}
    first = await app.client.post(PATH, json=asked, headers=headers)
    again = await app.client.post(PATH, json=asked, headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


async def test_strangers_see_nothing(app: WholeApp) -> None:
    made = await create(app, requests=[line()])
    nobody = await app.client_of(None).get(f"{PATH}/{made['id']}")
    nothing = await app.client.get(f"{PATH}/batch_no")

    assert (nobody.status_code, nothing.status_code) == (401, 404)
    assert nothing.json()["type"] == "batch_not_found"
