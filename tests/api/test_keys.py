"""Keys over HTTP: made once, shown once, ended for good, each tenant for itself."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.auth.permissions import Role
from tests.api.small_app import ADMIN_KEY, World, client, world


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as opened:
        yield opened


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


async def make(opened: World, **body: Any) -> dict[str, Any]:
    answer = await opened.clients["admin"].post("/v1/keys", json={"name": "ci", **body})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_new_key_is_shown_once_and_works(opened: World) -> None:
    answer = await opened.clients["admin"].post("/v1/keys", json={"name": "ci", "role": "viewer"})
    made = answer.json()

    assert answer.headers["cache-control"] == "no-store"
    assert made["key"].startswith(f"pk_{made['prefix']}_")
    assert (made["object"], made["role"], made["status"]) == ("api_key", "viewer", "active")
    async with client(opened.app, made["key"]) as mine:
        assert (await mine.get("/v1/files")).status_code == 200
    listed = (await opened.clients["admin"].get("/v1/keys")).json()
    assert made["id"] in [each["id"] for each in listed["data"]]
    assert made["key"] not in str(listed)
    assert "digest" not in str(listed)


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key"])
async def test_the_key_may_come_in_three_headers(opened: World, header: str) -> None:
    value = f"bearer  {ADMIN_KEY} " if header == "authorization" else ADMIN_KEY

    answer = await opened.clients["nobody"].get("/v1/keys", headers={header: value})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "code", "words"),
    [
        ({}, "missing_api_key", "Authorization: Bearer"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "missing_api_key", "`Authorization: Basic"),
        ({"authorization": "pk_bare"}, "missing_api_key", "no scheme: write `Bearer`"),
        ({"authorization": "pk_bare x"}, "missing_api_key", "no scheme: write `Bearer`"),
        ({"authorization": "Bearer "}, "missing_api_key", "Authorization: Bearer"),
        ({"authorization": "Bearer pk_nobody_knows_this_one"}, "invalid_api_key", "not an API key"),
        ({"x-api-key": "ü" * 40}, "invalid_api_key", "not an API key"),
    ],
)
async def test_without_a_good_key_nothing_is_answered(
    opened: World, headers: dict[str, str], code: str, words: str
) -> None:
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await opened.clients["nobody"].get("/v1/keys", headers=raw)

    assert answer.status_code == 401
    assert answer.json()["code"] == code
    assert words in answer.json()["error"]["message"]
    assert "pk_bare" not in answer.text


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
async def test_only_administrators_manage_keys(opened: World, role: Role) -> None:
    async with client(opened.app, await opened.key(role)) as http:
        for answer in (
            await http.get("/v1/keys"),
            await http.post("/v1/keys", json={"name": "more"}),
            await http.delete("/v1/keys/key_bootstrap"),
        ):
            assert answer.status_code == 403
            assert answer.json()["permission"] == "keys.manage"
            assert answer.json()["error"]["type"] == "permission_error"


async def test_a_viewer_reads_and_does_not_write(opened: World) -> None:
    async with client(opened.app, await opened.key(Role.VIEWER)) as http:
        assert (await http.get("/v1/files")).status_code == 200
        refused = await http.post(
            "/v1/files", data={"purpose": "batch"}, files={"file": b"content"}
        )

    assert refused.status_code == 403
    assert opened.blobs() == []


async def test_a_revoked_key_stops_at_once(opened: World) -> None:
    made = await make(opened)
    async with client(opened.app, made["key"]) as http:
        assert (await http.get("/v1/files")).status_code == 200
        answer = await opened.clients["admin"].delete(f"/v1/keys/{made['id']}")
        refused = await http.get("/v1/files")

    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    assert refused.status_code == 401
    assert "revoked" in refused.json()["detail"]


async def test_the_last_administrator_stays(opened: World) -> None:
    admin = opened.clients["admin"]

    refused = await admin.delete("/v1/keys/key_bootstrap")
    second = await make(opened, role="admin")
    async with client(opened.app, second["key"]) as http:
        allowed = await http.delete("/v1/keys/key_bootstrap")

    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin_key")
    assert refused.headers["x-should-retry"] == "false"
    assert allowed.status_code == 200


async def test_another_tenants_key_looks_like_no_key_at_all(opened: World) -> None:
    their_admin = await opened.key(Role.ADMIN, tenant_id=opened.other_tenant_id)
    mine = await make(opened)
    async with client(opened.app, their_admin) as http:
        real = await http.delete(f"/v1/keys/{mine['id']}")
        unknown_id = mine["id"][:-4] + "0000"
        unknown = await http.delete(f"/v1/keys/{unknown_id}")
        listed = (await http.get("/v1/keys")).json()

    def told(answer: Any, key_id: str) -> str:
        body = answer.json() | {"request_id": None}
        return str(body).replace(key_id, "ID")

    assert real.status_code == unknown.status_code == 404
    assert told(real, mine["id"]) == told(unknown, unknown_id)
    assert mine["id"] not in str(listed)
    assert {each["role"] for each in listed["data"]} == {"member", "admin"}
    after = await opened.clients["admin"].get("/v1/keys", params={"after": mine["id"]})
    assert after.status_code == 200


async def test_expiry_is_given_one_way_or_the_other(opened: World) -> None:
    for_an_hour = await make(opened, expires_in_s=3600)
    until = await make(opened, expires_at=in_hours(1))

    for made in (for_an_hour, until):
        left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
        assert timedelta(minutes=59) < left <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a", "role": "owner"}, "role"),
        ({"name": "a", "expires_in_s": 0}, "expires_in_s"),
        ({"name": "a", "expires_at": "2030-01-01T00:00:00"}, "expires_at"),
        ({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "a", "expires_at": "2090-01-01T00:00:00Z", "expires_in_s": 5}, "expires_at"),
        ({"name": "a", "tenant_id": "ten_other"}, "tenant_id"),
    ],
)
async def test_a_wrong_request_is_named(opened: World, body: dict[str, Any], param: str) -> None:
    answer = await opened.clients["admin"].post("/v1/keys", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_keys_are_listed_in_pages_by_id(opened: World) -> None:
    made = [(await make(opened, name=f"key {number}"))["id"] for number in range(3)]
    seen: list[str] = []
    query = {"limit": "2", "order": "asc"}
    while True:
        page = (await opened.clients["admin"].get("/v1/keys", params=query)).json()
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]

    assert seen[0] == "key_bootstrap"
    assert seen[-3:] == made
    assert len(seen) == len(set(seen)) == 5
