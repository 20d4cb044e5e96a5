"""Files over HTTP, in OpenAI's shapes: streamed in, streamed out, each tenant for itself."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from shared.files import removal
from shared.files.model import StoredFile
from tests.api.small_app import World, world


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as opened:
        yield opened


async def upload(
    http: httpx.AsyncClient, content: bytes = b"1\n", *, name: str = "a.jsonl", **data: Any
) -> dict[str, Any]:
    fields = {"purpose": "user_data", **data}
    answer = await http.post("/v1/files", data=fields, files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_file_goes_in_and_comes_back(opened: World) -> None:
    mine, content = opened.clients["mine"], bytes(range(256)) * 8000

    made = await upload(mine, content, name="päge one.bin")
    got = await mine.get(f"/v1/files/{made['id']}")
    raw = await mine.get(f"/v1/files/{made['id']}/content")

    assert made["id"].startswith("file-")
    assert (made["object"], made["status"]) == ("file", "processed")
    assert (made["bytes"], made["filename"]) == (len(content), "päge one.bin")
    assert (made["purpose"], made["expires_at"]) == ("user_data", None)
    assert isinstance(made["created_at"], int)
    assert got.json() == made
    assert raw.content == content
    assert raw.headers["content-length"] == str(len(content))
    assert raw.headers["content-disposition"].endswith("p%C3%A4ge%20one.bin")
    assert raw.headers["x-content-type-options"] == "nosniff"


async def test_an_empty_file_is_a_file(opened: World) -> None:
    made = await upload(opened.clients["mine"], b"")

    raw = await opened.clients["mine"].get(f"/v1/files/{made['id']}/content")
    assert (made["bytes"], raw.status_code, raw.content) == (0, 200, b"")


async def test_expiry_follows_the_form_and_the_purpose(opened: World) -> None:
    mine = opened.clients["mine"]
    chosen = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "7200"}

    soon = await upload(mine, b"1", **chosen)
    batch = await upload(mine, purpose="batch")

    assert soon["expires_at"] - soon["created_at"] == 7200
    assert batch["expires_at"] - batch["created_at"] == 30 * 24 * 3600


async def test_another_tenants_file_looks_like_no_file_at_all(opened: World) -> None:
    mine, theirs = opened.clients["mine"], opened.clients["theirs"]
    made = await upload(mine)
    unknown_id = made["id"][:-6] + "000000"

    def told(answer: httpx.Response, file_id: str) -> tuple[int, str, set[str]]:
        text = answer.text.replace(file_id, "ID").replace(answer.headers["x-request-id"], "REQ")
        return answer.status_code, text, set(answer.headers)

    for method, tail in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        real = await theirs.request(method, f"/v1/files/{made['id']}{tail}")
        unknown = await theirs.request(method, f"/v1/files/{unknown_id}{tail}")
        assert real.status_code == 404
        assert told(real, made["id"]) == told(unknown, unknown_id)
    assert (await theirs.get("/v1/files")).json()["data"] == []
    assert (await mine.get(f"/v1/files/{made['id']}/content")).status_code == 200


@pytest.mark.parametrize("odd", ["file-1", "%00", "..%2f..%2fetc%2fpasswd", "file-" + "z" * 26])
async def test_an_odd_id_is_simply_not_there(opened: World, odd: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await opened.clients["mine"].request(method, f"/v1/files/{odd}")
        assert answer.status_code in {404, 405}


async def test_deleting_takes_the_bytes_and_happens_once(opened: World) -> None:
    mine = opened.clients["mine"]
    made = await upload(mine)

    answer = await mine.delete(f"/v1/files/{made['id']}")

    assert answer.json() == {"id": made["id"], "object": "file", "deleted": True}
    assert opened.blobs() == []
    assert (await mine.get(f"/v1/files/{made['id']}")).status_code == 404
    assert (await mine.delete(f"/v1/files/{made['id']}")).status_code == 404


async def test_an_expired_file_is_gone_and_swept(opened: World) -> None:
    made = await upload(opened.clients["mine"])
    async with opened.resources.database.transaction() as db:
        await db.execute(update(StoredFile).values(expires_at=1))

    assert (await opened.clients["mine"].get(f"/v1/files/{made['id']}")).status_code == 404
    assert await removal.sweep(opened.resources.database, opened.resources.blobs) == 1
    assert opened.blobs() == []


async def test_lists_go_on_behind_files_that_are_deleted_meanwhile(opened: World) -> None:
    mine = opened.clients["mine"]
    made = [(await upload(mine))["id"] for _ in range(5)]
    await upload(mine, purpose="batch")

    first = (await mine.get("/v1/files", params={"limit": 2, "purpose": "user_data"})).json()
    for each in first["data"]:
        await mine.delete(f"/v1/files/{each['id']}")
    query = {"limit": "10", "purpose": "user_data", "after": first["last_id"]}
    rest = (await mine.get("/v1/files", params=query)).json()

    seen = [each["id"] for each in (*first["data"], *rest["data"])]
    assert sorted(seen) == sorted(made)
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert len((await mine.get("/v1/files")).json()["data"]) == 4
    wrong = await mine.get("/v1/files", params={"purpose": "fun"})
    assert wrong.json()["error"]["param"] == "purpose"


async def test_a_lost_blob_is_an_error_of_ours_and_not_half_an_answer(opened: World) -> None:
    made = await upload(opened.clients["mine"])
    [path] = opened.blobs()
    path.unlink()

    answer = await opened.clients["mine"].get(f"/v1/files/{made['id']}/content")

    assert answer.status_code == 500
    assert str(path) not in answer.text


async def test_a_full_disk_refuses_uploads(tmp_path: Path) -> None:
    async with world(tmp_path, min_free_disk_bytes=1 << 60) as opened:
        answer = await opened.clients["mine"].post(
            "/v1/files", data={"purpose": "vision"}, files={"file": b"x"}
        )

    assert (answer.status_code, answer.json()["code"]) == (503, "disk_full")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", 0), (b"{}", 1), (b"{}\n", 1), (b"{}\n{}", 2), (b"\n\n", 2)]
)
async def test_the_lines_of_a_batch_are_counted_as_they_come(
    opened: World, content: bytes, lines: int
) -> None:
    batch = await upload(opened.clients["mine"], content, name="upload", purpose="batch")
    other = await upload(opened.clients["mine"], content)

    async with opened.resources.database.reading() as db:
        counted = {row.id: row.lines for row in await db.execute(select(StoredFile.__table__))}  # type: ignore[attr-defined]
    assert counted == {batch["id"]: lines, other["id"]: None}


async def test_what_a_batch_produced_is_listed_and_downloaded(opened: World) -> None:
    made = await upload(opened.clients["mine"], b'{"id": 1}\n', name="out.jsonl")
    async with opened.resources.database.transaction() as db:
        await db.execute(update(StoredFile).values(purpose="batch_output"))

    listed = await opened.clients["mine"].get("/v1/files", params={"purpose": "batch_output"})
    raw = await opened.clients["mine"].get(f"/v1/files/{made['id']}/content")

    assert [each["purpose"] for each in listed.json()["data"]] == ["batch_output"]
    assert raw.content == b'{"id": 1}\n'


async def test_order_and_limits_of_a_list(opened: World) -> None:
    mine = opened.clients["mine"]
    made = [(await upload(mine))["id"] for _ in range(3)]

    for order, wanted in (("asc", sorted(made)), ("desc", sorted(made, reverse=True))):
        listed = (await mine.get("/v1/files", params={"order": order})).json()
        found = [each["id"] for each in listed["data"]]
        assert sorted(found, reverse=order == "desc") == wanted
        assert (listed["first_id"], listed["last_id"]) == (found[0], found[-1])
        assert (listed["object"], listed["has_more"]) == ("list", False)
    assert (await mine.get("/v1/files", params={"limit": 10_000})).status_code == 200
    for limit in ("0", "10001", "-1", "x"):
        answer = await mine.get("/v1/files", params={"limit": limit})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "limit")


async def test_a_misspelt_filter_is_refused(opened: World) -> None:
    answer = await opened.clients["mine"].get("/v1/files", params={"purpos": "batch"})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "purpos"
    assert "takes after, limit, order, purpose." in answer.json()["detail"]
