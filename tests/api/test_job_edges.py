"""`/v1/jobs` at its edges: misspelt queries, other methods, conditional requests, odd inputs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.jobs.claims import Result
from shared.jobs.transitions import JobState
from tests.api.conftest import Api


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("statuss=failed", "statuss"),
        ("custom_id=mine", "custom_id"),
        ("metadata=a", "metadata"),
        ("metadata[a=b", "metadata[a"),
        ("metadata[a%00]=b", "metadata"),
        ("metadata[a]=%00", "metadata"),
    ],
)
async def test_a_filter_that_is_none_is_refused(api: Api, query: str, param: str) -> None:
    await api.submitted()

    answer = await api.client.get(f"/v1/jobs?{query}")

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_every_filter_of_the_description_is_taken(api: Api) -> None:
    job = (await api.submit(metadata={"team": "a"})).json()
    query = {
        "status": "queued",
        "endpoint": "/v1/chat/completions",
        "metadata[team]": "a",
        "created_after": job["created_at"],
        "created_before": job["complete_by"],
        "limit": "5",
        "order": "asc",
    }

    found = (await api.client.get("/v1/jobs", params=query)).json()["data"]
    behind = (await api.client.get("/v1/jobs", params={**query, "after": job["id"]})).json()

    assert [each["id"] for each in found] == [job["id"]]
    assert behind["data"] == []


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs", "GET, HEAD, POST"),
        ("/v1/jobs/job_1", "DELETE, GET, HEAD"),
        ("/v1/jobs/job_1/cancel", "POST"),
        ("/v1/files", "GET, HEAD, POST"),
    ],
)
async def test_another_method_names_all_that_there_are(api: Api, path: str, allowed: str) -> None:
    answer = await api.client.put(path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["detail"].endswith(f"possible: {allowed}.")


async def test_a_tag_is_compared_weakly_and_only_when_reading(api: Api) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello"}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body}
    key = {"Idempotency-Key": "one"}
    job_id = (await api.client.post("/v1/jobs", json=asked, headers=key)).json()["id"]
    await api.client.post(f"/v1/jobs/{job_id}/cancel")
    tag = (await api.client.get(f"/v1/jobs/{job_id}")).headers["etag"]

    read = [
        (await api.client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": given})).status_code
        for given in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*", '"other"', "")
    ]
    again = {**key, "If-None-Match": tag}
    written = await api.client.post("/v1/jobs", json=asked, headers=again)

    assert read == [304, 304, 304, 304, 200, 200]
    assert (written.status_code, written.json()["id"]) == (200, job_id)


async def test_a_stored_refusal_is_not_to_be_asked_for_again(api: Api) -> None:
    refused, good = await api.submitted(), await api.submitted()
    await api.complete(refused, Result(429, b'{"error":{}}'), state=JobState.FAILED)
    await api.complete(good, Result(200, b"{}"))

    theirs = await api.client.get(f"/v1/jobs/{refused}/result")
    plain = await api.client.get(f"/v1/jobs/{good}/result")

    assert (theirs.status_code, theirs.headers["x-should-retry"]) == (429, "false")
    assert theirs.headers["content-type"] == "application/json"
    assert "x-should-retry" not in plain.headers


@pytest.mark.parametrize(("ahead_s", "told"), [(30, range(29, 31)), (3600, range(60, 61))])
async def test_a_scheduled_job_is_polled_when_its_time_comes(
    api: Api, ahead_s: int, told: range
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=ahead_s)
    job_id = await api.submitted(scheduled_at=moment.isoformat())

    answer = await api.client.get(f"/v1/jobs/{job_id}")

    assert answer.json()["status"] == "scheduled"
    assert int(answer.headers["retry-after"]) in told


@pytest.mark.parametrize(
    "given", ["", [], [[]], [[1], []], [1.5], [True], ["a", 1], [None], None, 7, {}, [[["a"]]]]
)
async def test_what_cannot_be_embedded_is_told_in_one_sentence(api: Api, given: Any) -> None:
    body = {"model": "sandbox/embed", "input": given}

    answer = (await api.submit(endpoint="/v1/embeddings", body=body)).json()

    assert answer["status"] == 400
    assert [each["pointer"] for each in answer["errors"]] == ["#/body/input"]
    assert answer["detail"].startswith("`body.input` must be a text, a list of texts")


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2, 3]]])
async def test_what_can_be_embedded_is_taken(api: Api, given: Any) -> None:
    body = {"model": "sandbox/embed", "input": given}

    assert (await api.submit(endpoint="/v1/embeddings", body=body)).status_code == 202


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"custom_id": "x" * 257}, "`custom_id` must have at most 256 characters, and a string"),
        ({"metadata": {str(n): "" for n in range(17)}}, "a length of at most 16, and an object"),
        ({"metadata": []}, "`metadata` must be an object, and an array of length 0 was given."),
        ({"scheduled_at": "2030-01-01T00:00:00"}, "`scheduled_at` has no time zone: write it as"),
        ({"body": {"model": "sandbox/x", "messages": [1] * 50}}, "`body.messages[0]` must be an"),
        ({"body": {"model": "", "messages": [{}]}}, "a length of at least 1, and a string of"),
    ],
)
async def test_a_mistake_is_told_in_the_words_of_json(
    api: Api, change: dict[str, object], words: str
) -> None:
    answer = (await api.submit(**change)).json()

    assert words in answer["detail"]
    assert len(answer["errors"]) == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n": 10**9}, "less than or equal to 128"),
        ({"n": 0}, "greater than or equal to 1"),
        ({"n": "3"}, "valid integer"),
        ({"stream": "yes"}, "valid boolean"),
        ({"stream": 1}, "valid boolean"),
        ({"stream_options": "usage"}, "must be an object"),
    ],
)
async def test_what_decides_over_a_worker_is_checked(
    api: Api, wrong: dict[str, Any], words: str
) -> None:
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hi"}], **wrong}

    answer = await api.client.post(
        "/v1/jobs", json={"endpoint": "/v1/chat/completions", "body": body}
    )

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == f"body.{next(iter(wrong))}"
    assert words in answer.json()["detail"]
