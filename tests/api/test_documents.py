"""`POST /v1/documents` through HTTP."""

import httpx
import orjson
import pytest

from shared.files import store
from tests.api.conftest import Api

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}


async def send(
    api: Api, changes: dict[str, str | None], headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send a document as a form; a change to None leaves the part out."""
    fields: dict[str, str | None] = {
        "model": "sandbox/reader",
        "instructions": "Read it.",
        "schema": orjson.dumps(SCHEMA).decode(),
        **changes,
    }
    parts = {name: value for name, value in fields.items() if value is not None}
    return await api.client.post(
        "/v1/documents", data=parts, files={"file": ("a.txt", b"Total: 5")}, headers=headers
    )


async def files(api: Api) -> list[dict[str, object]]:
    return list((await api.client.get("/v1/files")).json()["data"])


async def test_an_upload_becomes_a_file_and_a_job(api: Api) -> None:
    response = await send(api, {"metadata": '{"team":"a"}', "priority": "bulk"})

    assert response.status_code == 202, response.text
    job = response.json()
    assert (
        job["endpoint"],
        job["priority"],
        job["metadata"],
    ) == ("/v1/documents", "bulk", {"team": "a"})
    assert [each["filename"] for each in await files(api)] == ["a.txt"]


async def test_a_file_that_is_there_can_be_named(api: Api) -> None:
    uploaded = await api.client.post(
        "/v1/files", data={"purpose": "user_data"}, files={"file": ("a.txt", b"Total: 5")}
    )
    asked = {"file_id": uploaded.json()["id"], "model": "sandbox/reader", "schema": SCHEMA}

    mine = await api.client.post("/v1/documents", json=asked)
    job = await api.client.post("/v1/jobs", json={"endpoint": "/v1/documents", "body": asked})
    theirs = await api.stranger.post("/v1/documents", json=asked)

    assert (mine.status_code, job.status_code) == (202, 202), mine.text
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (404, "file_not_found")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"schema": None}, "schema"),
        ({"schema": "{"}, "schema"),
        ({"schema": '{"type": "nonsense"}'}, "schema"),
        ({"schema": '{"$ref": "http://127.0.0.1/x"}'}, "schema"),
        ({"metadata": "[]"}, "metadata"),
        ({"colour": "blue"}, "colour"),
    ],
)
async def test_a_wrong_form_names_its_part_and_leaves_nothing(
    api: Api, change: dict[str, str | None], param: str
) -> None:
    response = await send(api, change)

    assert response.status_code == 400, response.text
    assert param == response.json()["error"]["param"]
    assert await files(api) == []
    assert (await api.client.get("/v1/jobs")).json()["data"] == []


async def test_a_form_without_a_file_is_refused(api: Api) -> None:
    response = await api.client.post(
        "/v1/documents", files={"model": (None, "sandbox/reader"), "schema": (None, "{}")}
    )

    assert (response.status_code, response.json()["error"]["param"]) == (400, "file")


async def test_a_replay_keeps_one_file(api: Api) -> None:
    first = await send(api, {}, {"Idempotency-Key": "k"})
    again = await send(api, {}, {"Idempotency-Key": "k"})
    other = await send(api, {"instructions": "Read something else."}, {"Idempotency-Key": "k"})

    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422
    assert len(await files(api)) == 1
    async with api.database.reading() as db:
        assert not await store.doomed(db, limit=10), "nothing half deleted"
