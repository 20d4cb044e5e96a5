"""`/openapi.json`: complete against the routes, valid in itself, and true of real answers."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from starlette.routing import Route

from api import openapi
from api.openapi_operations import ALL
from api.routes import routes
from shared.auth.permissions import PERMISSIONS, Permission, Role
from tests.api.documented import DOCUMENT, Checked, check, documented, resolved, validator
from tests.api.whole_app import WholeApp, whole_app

METHODS = {"get", "post", "put", "patch", "delete"}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
CHAT = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello"}]}
JOB = {"endpoint": "/v1/chat/completions", "body": CHAT}


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture
async def checked(app: WholeApp) -> AsyncIterator[tuple[httpx.AsyncClient, Checked]]:
    transport = Checked(app.client._transport)
    headers = {"Authorization": app.client.headers["authorization"]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://penstock", headers=headers
    ) as client:
        yield client, transport


def test_every_route_is_documented_and_nothing_else() -> None:
    served = {
        (method, each.path.replace(":path}", "}"))
        for each in routes
        if isinstance(each, Route)
        for method in (each.methods or set()) - {"HEAD"}
    }
    said = {
        (method, f"{server['url'].rstrip('/')}{path}")
        for method, path, operation in documented()
        for server in operation.get("servers", DOCUMENT["servers"])
    }
    assert said == served
    assert len(ALL) == len(list(documented()))
    # Nothing is mounted past this comparison.
    assert all(isinstance(each, Route) for each in routes)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in documented()]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    text = openapi.rendered().decode()
    references = set(re.findall(r'"#/(components/[^"]+)"', text))
    components = {
        f"components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers", "responses")
        for name in DOCUMENT["components"][kind]
    }
    assert references == components


def test_path_parameters_are_those_of_the_path() -> None:
    for method, path, operation in documented():
        parameters = [resolved(each) for each in operation.get("parameters", [])]
        named = {each["name"] for each in parameters if each["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), (method, path)


def test_schemas_are_json_schema() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
        validator(schema)


def test_examples_fit_their_schemas() -> None:
    found = 0
    for _, _, operation in documented():
        for content in operation.get("requestBody", {}).get("content", {}).values():
            if "example" in content:
                validator(content["schema"]).validate(content["example"])
                found += 1
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", []):
            validator({"$ref": f"#/components/schemas/{name}"}).validate(example)
            found += 1
    assert found >= 5


async def test_served_without_a_key(app: WholeApp) -> None:
    reply = await app.client_of(None).get("/openapi.json")
    assert reply.status_code == 200
    assert reply.json() == DOCUMENT
    assert reply.json()["openapi"] == "3.1.0"


@pytest.mark.parametrize("operation", ALL, ids=lambda each: each.name)
async def test_asks_for_the_key_that_it_says(app: WholeApp, operation: Any) -> None:
    path = re.sub(r"{\w+}", "x", operation.path)
    nobody = await app.client_of(None).request(operation.method, path)
    if operation.permission is None:
        assert nobody.status_code in {200, 503}
        return
    check(nobody, DOCUMENT["paths"][operation.path][operation.method.lower()])
    assert nobody.status_code == 401
    for role in Role:
        reply = await app.client_of(await app.key(role)).request(operation.method, path)
        assert (reply.status_code != 403) == (operation.permission in PERMISSIONS[role]), role


def test_every_permission_is_asked_for_somewhere() -> None:
    assert {each.permission for each in ALL} == {None, *Permission}


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key"])
async def test_the_other_headers_that_it_names_carry_a_key(app: WholeApp, header: str) -> None:
    key = await app.key(Role.VIEWER)
    assert DOCUMENT["components"]["securitySchemes"][header]["name"] == header
    reply = await app.client_of(None).get("/v1/jobs", headers={header: key})
    assert reply.status_code == 200


async def test_answers_about_jobs_are_as_documented(
    app: WholeApp, checked: tuple[httpx.AsyncClient, Checked]
) -> None:
    client, transport = checked
    headers = {"Idempotency-Key": "one", "Prefer": "respond-async"}
    done = (
        await client.post("/v1/jobs", json={**JOB, "metadata": {"a": "b"}}, headers=headers)
    ).json()["id"]
    await client.post("/v1/jobs", json={**JOB, "metadata": {"a": "b"}}, headers=headers)
    await client.post("/v1/jobs", json=JOB, headers=headers)
    failed = (
        await client.post("/v1/jobs", json={**JOB, "body": {**CHAT, "model": "sandbox/reject-400"}})
    ).json()["id"]
    await client.get(f"/v1/jobs/{done}")
    await client.get(f"/v1/jobs/{done}/result")
    await app.work(done, failed)
    for job_id in (done, failed):
        tag = (await client.get(f"/v1/jobs/{job_id}")).headers["etag"]
        await client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": tag})
        await client.get(f"/v1/jobs/{job_id}/result")
        await client.get(f"/v1/jobs/{job_id}/events")
        await client.post(f"/v1/jobs/{job_id}/events/token")
    await client.post("/v1/jobs/lookup", json={"ids": [done, failed, "job_none"]})
    await client.get("/v1/jobs", params={"limit": 1, "metadata[a]": "b", "status": "completed"})
    await client.get("/v1/jobs", params={"limit": 0})
    await client.post(f"/v1/jobs/{done}/retry")
    await client.post(f"/v1/jobs/{failed}/retry")
    await client.delete(f"/v1/jobs/{failed}")
    await client.post(f"/v1/jobs/{failed}/cancel")
    await client.get(f"/v1/jobs/{failed}/result")
    await client.delete(f"/v1/jobs/{failed}")
    await client.get(f"/v1/jobs/{failed}")
    await client.get("/v1/jobs/job_none")
    await client.post("/v1/jobs", json={"endpoint": "/v1/nothing", "body": {}})
    await client.post("/v1/jobs", json={**JOB, "body": {**CHAT, "model": "unknown"}})
    assert {status for _, _, status in transport.seen} >= {200, 202, 304, 400, 404, 409, 410, 422}
    assert {path for _, path, _ in transport.seen} == {
        each.path for each in ALL if each.tag == "jobs"
    }


async def test_answers_about_documents_files_and_keys_are_as_documented(
    checked: tuple[httpx.AsyncClient, Checked],
) -> None:
    client, transport = checked
    upload = {"file": ("invoice.txt", b"Total: 12.50")}
    file_id = (await client.post("/v1/files", data={"purpose": "user_data"}, files=upload)).json()[
        "id"
    ]
    await client.post("/v1/files", data={"purpose": "nothing"}, files=upload)
    await client.get("/v1/files", params={"limit": 1, "purpose": "user_data"})
    await client.get(f"/v1/files/{file_id}")
    await client.get(f"/v1/files/{file_id}/content")
    asked = {"model": "sandbox/extract", "schema": SCHEMA, "file_id": file_id}
    await client.post("/v1/documents", json=asked)
    await client.post("/v1/documents", json={**asked, "schema": {"type": 7}})
    form = {"model": "sandbox/extract", "schema": '{"type": "object"}'}
    await client.post("/v1/documents", data=form, files=upload)
    await client.delete(f"/v1/files/{file_id}")
    await client.delete(f"/v1/files/{file_id}")
    made = (await client.post("/v1/keys", json={"name": "one", "role": "viewer"})).json()["id"]
    await client.post("/v1/keys", json={"name": "", "role": "king", "more": 1})
    await client.get("/v1/keys")
    await client.delete(f"/v1/keys/{made}")
    await client.delete("/v1/keys/key_none")
    await client.delete("/v1/keys/key_bootstrap")
    assert {path for _, path, _ in transport.seen} == {
        each.path for each in ALL if each.tag in {"documents", "files", "keys"}
    }
    assert {status for _, _, status in transport.seen} >= {200, 201, 202, 400, 404, 409}


async def test_answers_about_the_service_are_as_documented(
    app: WholeApp, checked: tuple[httpx.AsyncClient, Checked]
) -> None:
    client, transport = checked
    await client.get("/readyz")
    for path in ("/healthz", "/metrics", "/openapi.json"):
        await client.get(path)
    assert ("GET", "/readyz", 503) in transport.seen


def test_a_strict_check_finds_what_is_not_documented() -> None:
    problem = {"$ref": "#/components/schemas/Deleted"}
    good = {"id": "x", "object": "job", "deleted": True}
    assert validator(problem).is_valid(good)
    assert not validator(problem).is_valid({**good, "more": 1})
