"""`/v1/jobs` through HTTP: what a client sees."""

import asyncio

import httpx
import orjson
import pytest

from shared.jobs.claims import Result
from shared.jobs.transitions import JobState
from tests.api.conftest import Api

ANSWER = Result(200, b'{"id":"x","choices":[]}')


async def test_a_submit_is_answered_with_the_job(api: Api) -> None:
    response = await api.submit(metadata={"team": "a"}, custom_id="mine", priority="bulk")

    assert response.status_code == 202
    job = response.json()
    assert f"/v1/jobs/{job['id']}" == response.headers["location"]
    assert response.headers["retry-after"] == "1"
    assert (job["object"], job["status"], job["priority"]) == ("job", "queued", "bulk")
    assert (job["custom_id"], job["metadata"]) == ("mine", {"team": "a"})


async def test_a_job_can_be_polled_to_its_end(api: Api) -> None:
    job_id = await api.submitted()

    queued = await api.client.get(f"/v1/jobs/{job_id}")
    assert queued.json()["queue"] == {"position": 1, "eta_s": None}
    assert queued.headers["retry-after"]
    await api.complete(job_id, ANSWER)
    done = await api.client.get(f"/v1/jobs/{job_id}")

    assert done.json()["status"] == "completed"
    assert done.json()["result"] == {"status_code": 200, "body": {"id": "x", "choices": []}}
    assert "retry-after" not in done.headers


async def test_an_unchanged_job_is_not_sent_again(api: Api) -> None:
    job_id = await api.submitted()
    first = await api.client.get(f"/v1/jobs/{job_id}")
    tag = {"If-None-Match": first.headers["etag"]}

    same = await api.client.get(f"/v1/jobs/{job_id}", headers=tag)
    await api.submitted()
    still = await api.client.get(f"/v1/jobs/{job_id}", headers=tag)
    await api.complete(job_id, ANSWER)
    changed = await api.client.get(f"/v1/jobs/{job_id}", headers=tag)

    assert [same.status_code, still.status_code, changed.status_code] == [304, 304, 200]
    assert same.content == b""


async def test_a_long_poll_returns_when_the_job_ends(api: Api) -> None:
    job_id = await api.submitted()
    waiting = asyncio.create_task(api.client.get(f"/v1/jobs/{job_id}?wait=60"))
    await asyncio.sleep(0)
    cancelled = await api.client.post(f"/v1/jobs/{job_id}/cancel")

    answer = await asyncio.wait_for(waiting, 10)

    assert cancelled.status_code == 200
    assert answer.json()["status"] == "cancelled"


@pytest.mark.parametrize("wait", ["61", "-1", "soon", "nan"])
async def test_a_wait_that_cannot_be_is_refused(api: Api, wait: str) -> None:
    job_id = await api.submitted()

    response = await api.client.get(f"/v1/jobs/{job_id}?wait={wait}")

    assert response.status_code == 400
    assert response.json()["error"]["param"] == "wait"


async def test_the_result_is_the_providers_own(api: Api) -> None:
    job_id = await api.submitted()
    pending = await api.client.get(f"/v1/jobs/{job_id}/result")
    await api.complete(job_id, Result(418, b'{"as":  "it was"}'))

    result = await api.client.get(f"/v1/jobs/{job_id}/result")

    assert (pending.status_code, pending.json()["status"]) == (202, "queued")
    assert (result.status_code, result.content) == (418, b'{"as":  "it was"}')


async def test_a_job_without_a_result_says_why(api: Api) -> None:
    job_id = await api.submitted()
    await api.client.post(f"/v1/jobs/{job_id}/cancel")

    response = await api.client.get(f"/v1/jobs/{job_id}/result")

    assert (response.status_code, response.json()["error"]["code"]) == (409, "job_cancelled")


async def test_another_tenant_sees_nothing(api: Api) -> None:
    job_id = await api.submitted()

    for method, path in (
        ("GET", ""),
        ("GET", "/result"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("DELETE", ""),
    ):
        theirs = await api.stranger.request(method, f"/v1/jobs/{job_id}{path}")
        unknown = await api.stranger.request(method, f"/v1/jobs/job_unknown{path}")
        assert (theirs.status_code, unknown.status_code) == (404, 404)
        assert _without_ids(theirs, job_id) == _without_ids(unknown, "job_unknown")
    assert (await api.stranger.get("/v1/jobs")).json()["data"] == []
    looked = await api.stranger.post("/v1/jobs/lookup", json={"ids": [job_id]})
    assert ([], [job_id]) == (looked.json()["data"], looked.json()["missing"])


def _without_ids(response: httpx.Response, job_id: str) -> str:
    body = orjson.loads(response.content.replace(job_id.encode(), b"ID"))
    return orjson.dumps(
        {k: v for k, v in body.items() if k not in {"instance", "request_id"}}
    ).decode()


async def test_a_viewer_reads_and_does_not_write(api: Api) -> None:
    job_id = await api.submitted()

    assert (await api.viewer.get(f"/v1/jobs/{job_id}")).status_code == 200
    assert (await api.viewer.post(f"/v1/jobs/{job_id}/cancel")).status_code == 403
    assert (await api.viewer.post("/v1/jobs", json={})).status_code == 403


async def test_a_key_replays_and_contradictions_are_refused(api: Api) -> None:
    async def post(key: str, content: str) -> httpx.Response:
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": content}]}
        asked = {"endpoint": "/v1/chat/completions", "body": body}
        return await api.client.post("/v1/jobs", json=asked, headers={"Idempotency-Key": key})

    first, bare, quoted = await post("k-1", "a"), await post("k-1", "a"), await post('"k-1"', "a")
    other = await post("k-1", "b")

    assert len({each.json()["id"] for each in (first, bare, quoted)}) == 1
    assert "idempotent-replayed" not in first.headers
    assert "true" == bare.headers["idempotent-replayed"] == quoted.headers["idempotent-replayed"]
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")
    assert (await post("", "a")).status_code == 400
    assert (await post("k" * 256, "a")).status_code == 400


async def test_a_failed_validation_uses_up_no_key(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    bad = await api.client.post("/v1/jobs", json={"endpoint": "/v1/nope"}, headers=headers)
    good = await api.client.post(
        "/v1/jobs",
        json={"endpoint": "/v1/embeddings", "body": {"model": "sandbox/e", "input": "x"}},
        headers=headers,
    )

    assert (bad.status_code, good.status_code) == (400, 202)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/images"}, "endpoint"),
        ({"body": {"messages": [{}]}}, "body.model"),
        ({"body": {"model": "sandbox/echo", "messages": []}}, "body.messages"),
        ({"body": {"model": "sandbox/echo", "messages": "hi"}}, "body.messages"),
        ({"priority": "urgent"}, "priority"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 21}, "max_attempts"),
        ({"on_unknown": "maybe"}, "on_unknown"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"custom_id": "a\u0000b"}, "custom_id"),
        ({"scheduled_at": "2026-01-01T00:00:00"}, "scheduled_at"),
        ({"scheduled_at": "2126-01-01T00:00:00Z"}, "scheduled_at"),
        ({"complete_by": "2020-01-01T00:00:00Z"}, "complete_by"),
        ({"complete_by": "2126-01-01T00:00:00Z"}, "complete_by"),
        ({"webhok": {}}, "webhok"),
    ],
)
async def test_bad_input_names_its_field_and_stores_nothing(
    api: Api, change: dict[str, object], param: str
) -> None:
    response = await api.submit(**change)

    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert param == error["param"]
    assert error["message"]
    assert (await api.client.get("/v1/jobs")).json()["data"] == []


async def test_an_unknown_model_says_what_to_do(api: Api) -> None:
    body = {"model": "gpt-99", "messages": [{"role": "user", "content": "x"}]}

    response = await api.submit(body=body)

    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert "sandbox/echo" in response.json()["detail"]


async def test_what_can_never_fit_is_refused_at_once(api: Api) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "x" * 3000}]}

    response = await api.submit(body=body)

    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "request_too_large_for_limit")


async def test_a_large_body_goes_to_the_blob_store_and_comes_back(api: Api) -> None:
    text = "long " * 20_000
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": text}]}

    await api.submitted(body=body)

    blobs = [each for each in (api.settings.data_dir / "blobs").rglob("*") if each.is_file()]
    assert [body] == [orjson.loads(each.read_bytes()) for each in blobs]


async def test_a_body_above_the_limit_is_refused(api: Api) -> None:
    too_much = "x" * (api.settings.max_body_bytes + 1)

    response = await api.client.post(
        "/v1/jobs", content=too_much, headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 413


async def test_many_are_looked_up_at_once(api: Api) -> None:
    one, two = await api.submitted(), await api.submitted()
    await api.complete(one, ANSWER)

    found = (await api.client.post("/v1/jobs/lookup", json={"ids": [two, "job_x", one]})).json()

    assert [two, one] == [job["id"] for job in found["data"]]
    assert found["missing"] == ["job_x"]
    assert found["data"][1]["result"]["status_code"] == 200


async def test_retry_opens_a_generation_and_delete_leaves_a_grave(api: Api) -> None:
    job_id = await api.submitted()
    assert (await api.client.post(f"/v1/jobs/{job_id}/retry")).status_code == 409
    assert (await api.client.delete(f"/v1/jobs/{job_id}")).status_code == 409
    await api.client.post(f"/v1/jobs/{job_id}/cancel")

    again = await api.client.post(f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["generation"]) == (202, 2)
    await api.client.post(f"/v1/jobs/{job_id}/cancel")
    deleted = await api.client.delete(f"/v1/jobs/{job_id}")

    assert {"id": job_id, "object": "job", "deleted": True} == deleted.json()
    assert (await api.client.get(f"/v1/jobs/{job_id}")).status_code == 410
    assert (await api.client.get("/v1/jobs")).json()["data"] == []


async def test_prefer_wait_stays_for_the_end(api: Api) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "x"}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body}
    headers = {"Prefer": "wait=60, respond-async"}
    waiting = asyncio.create_task(api.client.post("/v1/jobs", json=asked, headers=headers))
    listed: list[dict[str, str]] = []
    while not listed:
        listed = (await api.client.get("/v1/jobs")).json()["data"]

    await api.client.post(f"/v1/jobs/{listed[0]['id']}/cancel")
    response = await asyncio.wait_for(waiting, 10)

    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert response.headers["preference-applied"] == "respond-async, wait=60"


async def test_cancel_of_a_running_job_is_accepted(api: Api) -> None:
    job_id = await api.submitted()
    async with api.database.transaction() as db:
        await db.exec_driver_sql("UPDATE job SET state = 'running', owner = 'w'")

    response = await api.client.post(f"/v1/jobs/{job_id}/cancel")

    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert response.json()["status"] == JobState.RUNNING
