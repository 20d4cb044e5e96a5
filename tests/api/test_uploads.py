"""Uploads piece by piece: refused early, bounded throughout, and nothing kept of what fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.small_app import World, world

LIMIT = 3_000_000
FORM = {"content-type": "multipart/form-data; boundary=B"}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, max_file_bytes=LIMIT) as opened:
        yield opened


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    tail = b"" if filename is None else b'; filename="' + filename.encode() + b'"'
    head = b'--B\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + tail
    return head + b"\r\n\r\n" + content + b"\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_the_form_may_arrive_in_any_pieces(opened: World, size: int) -> None:
    content = b"\r\n--A\r\n--\r\n\r\n--Bx" * 3
    whole = (
        part("purpose", b"vision") + part("file", content, "C:\\Users\\me\\scan.png") + b"--B--\r\n"
    )

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), size):
            yield whole[start : start + size]

    answer = await opened.clients["mine"].post("/v1/files", content=pieces(), headers=FORM)
    made = answer.json()

    assert (made["filename"], made["purpose"]) == ("scan.png", "vision")
    raw = await opened.clients["mine"].get(f"/v1/files/{made['id']}/content")
    assert raw.content == content


async def test_fields_may_stand_behind_the_file(opened: World) -> None:
    body = part("file", b"x", "a") + part("purpose", b"evals") + b"--B--"

    answer = await opened.clients["mine"].post("/v1/files", content=body, headers=FORM)

    assert answer.json()["purpose"] == "evals"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "fun"}, "purpose"),
        ({"purpose": "batch_output"}, "purpose"),
        ({}, "purpose"),
        ({"purpose": "batch", "expires_after[seconds]": "7200"}, "expires_after[anchor]"),
        ({"purpose": "batch", "expires_after[anchor]": "created_at"}, "expires_after[seconds]"),
        (
            {
                "purpose": "batch",
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": "3599",
            },
            "expires_after[seconds]",
        ),
    ],
)
@pytest.mark.parametrize("file_first", [True, False])
async def test_a_wrong_field_keeps_nothing(
    opened: World, fields: dict[str, str], param: str, *, file_first: bool
) -> None:
    texts = b"".join(part(name, value.encode()) for name, value in fields.items())
    file = part("file", b"content", "a.txt")
    body = (file + texts if file_first else texts + file) + b"--B--\r\n"

    answer = await opened.clients["mine"].post("/v1/files", content=body, headers=FORM)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert opened.blobs() == []


async def test_a_wrong_purpose_is_refused_before_the_file_is_sent(opened: World) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield part("purpose", b"fun")
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            sent += 1
            yield b"x" * 10_000

    answer = await opened.clients["mine"].post("/v1/files", content=body(), headers=FORM)

    assert answer.status_code == 400
    assert sent == 0


async def test_a_large_file_is_refused_by_its_header_alone(opened: World) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"x"

    headers = {**FORM, "content-length": str(LIMIT * 2)}
    answer = await opened.clients["mine"].post("/v1/files", content=body(), headers=headers)

    assert (answer.status_code, sent) == (413, 0)
    assert answer.json()["error"]["code"] == "file_too_large"
    assert answer.json()["limit"] == LIMIT


async def test_a_large_file_is_cut_off_where_it_becomes_too_large(opened: World) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield part("purpose", b"vision")
        yield b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(100):
            sent += 100_000
            yield b"x" * 100_000

    answer = await opened.clients["mine"].post("/v1/files", content=body(), headers=FORM)

    assert answer.status_code == 413
    assert answer.json()["limit"] == LIMIT
    assert sent <= LIMIT + 200_000
    assert opened.blobs() == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ends in the middle"),
        (part("purpose", b"batch"), "ends in the middle"),
        (part("file", b"content", "a")[:-2], "ends in the middle"),
        (b"no form at all", "cannot be read"),
        (b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--", "no name"),
        (part("purpose", b"batch") + b"--B--", "no file"),
        (part("file", b"content") + b"--B--", "no file"),
        (part("other", b"content", "a") + b"--B--", "part called `file`"),
        (part("file", b"1", "a") + part("file", b"2", "b") + b"--B--", "one file"),
        (part("purpose", b"batch") * 2 + b"--B--", "twice"),
        (part("purpose", b"\xff\xfe") + b"--B--", "UTF-8"),
        (b"".join(part(f"f{n}", b"") for n in range(33)) + b"--B--", "more than 32 parts"),
    ],
)
async def test_a_broken_form_keeps_nothing(opened: World, body: bytes, words: str) -> None:
    answer = await opened.clients["mine"].post("/v1/files", content=body, headers=FORM)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert opened.blobs() == []


async def test_a_field_cannot_fill_the_memory(opened: World) -> None:
    body = part("purpose", b"x" * (1024 * 1024 + 1)) + b"--B--"

    answer = await opened.clients["mine"].post("/v1/files", content=body, headers=FORM)

    assert answer.status_code == 413
    assert answer.json()["error"]["param"] == "purpose"


@pytest.mark.parametrize(
    "kind",
    ["application/json", "multipart/form-data", "multipart/form-data; boundary=" + "b" * 300],
)
async def test_another_kind_of_body_is_refused(opened: World, kind: str) -> None:
    headers = {"content-type": kind}
    answer = await opened.clients["mine"].post("/v1/files", content=b"{}", headers=headers)

    assert answer.status_code == 400
