"""Zip files become stored files and requests about them, and no stranger's archive does any harm."""

import io
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from shared.batches import archive_source
from shared.batches.archive import open_archive
from shared.batches.model import BatchState, InputKind
from shared.settings import Settings
from tests.integration.batches.piles import TASK, Piles, configured, packed
from tests.integration.batches.yard import TENANT, Yard
from workers.batches import checking, storing

SKIP = {"task": TASK, "on_invalid": "skip"}


@pytest.fixture
def piles(yard: Yard) -> Piles:
    return Piles(yard)


async def unpacked(piles: Piles, data: bytes, **options: Any) -> str:
    asked = {"task": TASK, **options}
    batch_id = await piles.create(data, kind=InputKind.ZIP, options=asked)
    await piles.expand()
    return batch_id


def built(*entries: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


async def codes(piles: Piles, batch_id: str) -> list[tuple[int | None, str]]:
    return [(e["line"], e["code"]) for e in (await piles.yard.row(batch_id))["errors"] or ()]


async def test_every_file_becomes_a_request(piles: Piles) -> None:
    files = {f"letters/{n}.txt": f"Letter {n}".encode() for n in range(70)}
    junk = {"letters/": b"", "__MACOSX/._1.txt": b"x", "letters/.DS_Store": b"x", ".git/x": b"x"}
    batch_id = await unpacked(piles, packed({**junk, **files}))

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"]) == (BatchState.IN_PROGRESS, 70)
    jobs = await piles.yard.lines(batch_id)
    assert [job["custom_id"] for job in jobs] == list(files)
    assert [job["line"] for job in jobs] == list(range(1, 71))
    rows = {row["id"]: row for row in await piles.files()}
    assert len(rows) == 70
    for row in rows.values():
        assert row["tenant_id"] == TENANT
        assert row["purpose"] == "user_data"
        assert row["expires_at"] > batch["complete_by"]
        data = await piles.resources.blobs.get(row["blob"])
        assert data == files[f"letters/{row['filename']}"]
        assert row["bytes"] == len(data)


@pytest.mark.parametrize("most_kept", [0, 2000])
async def test_an_archive_is_opened_twice_however_many_files_it_has(
    piles: Piles, most_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def count(path: Path, settings: Settings) -> zipfile.ZipFile:
        opened.append(path)
        return open_archive(path, settings)

    monkeypatch.setattr(archive_source, "open_archive", count)
    monkeypatch.setattr(checking, "MOST_KEPT", most_kept)

    await unpacked(piles, packed({f"{n}.txt": b"text" for n in range(200)}))

    assert len(await piles.files()) == 200
    # To check what is in it, and to store it.
    assert len(opened) == 2


@pytest.mark.parametrize("on_invalid", ["reject", "skip"])
async def test_a_leader_that_dies_stores_no_file_twice(
    piles: Piles, on_invalid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "MOST_KEPT", 0)
    files = {f"{n}.txt": b"text" for n in range(100)}
    wrong = {"../away.txt": b"x"} if on_invalid == "skip" else {}
    asked = {"task": TASK, "on_invalid": on_invalid}
    batch_id = await piles.create(packed({**wrong, **files}), kind=InputKind.ZIP, options=asked)
    passed: list[str] = []

    def die(name: str) -> None:
        passed.append(name)
        if len(passed) in {1, 3}:
            raise RuntimeError(name)

    monkeypatch.setattr(storing, "failpoint", die)
    for _ in range(3):
        await piles.expand()

    assert [job["custom_id"] for job in await piles.yard.lines(batch_id)] == list(files)
    assert len(await piles.files()) == 100
    assert (await piles.yard.row(batch_id))["total"] == 100


@pytest.mark.parametrize(
    "name", ["../up.txt", "a/../../up.txt", "/etc/passwd", "C:/x.txt", "a\\..\\..\\x.txt", "a\nb"]
)
async def test_names_that_lead_out(piles: Piles, name: str) -> None:
    batch_id = await unpacked(piles, built((name, b"x"), ("good.txt", b"y")), on_invalid="skip")
    assert await codes(piles, batch_id) == [(1, "unsafe_archive_entry")]
    (job,) = await piles.yard.lines(batch_id)
    assert job["custom_id"] == "good.txt"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
async def test_links_and_devices(piles: Piles, kind: int) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    batch_id = await unpacked(piles, built((info, b"/etc/passwd")))
    assert (await piles.yard.row(batch_id))["state"] == BatchState.FAILED
    assert (1, "unsafe_archive_entry") in await codes(piles, batch_id)
    assert await piles.files() == []


async def test_an_encrypted_entry(piles: Piles) -> None:
    data = bytearray(built(("a.txt", b"secret")))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    batch_id = await unpacked(piles, bytes(data))
    assert (1, "encrypted_archive_entry") in await codes(piles, batch_id)


async def test_an_unknown_compression(piles: Piles) -> None:
    data = bytearray(built(("a.txt", b"secret" * 100)))
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.index(signature) + at
        data[place : place + 2] = struct.pack("<H", 99)
    batch_id = await unpacked(piles, bytes(data))
    assert (1, "unsupported_compression") in await codes(piles, batch_id)


async def test_a_name_that_is_there_twice(piles: Piles) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = built(("a.txt", b"one"), ("a.txt", b"two"))
    batch_id = await unpacked(piles, data)
    assert await codes(piles, batch_id) == [(2, "duplicate_custom_id")]


async def test_a_broken_entry(piles: Piles) -> None:
    data = bytearray(built(("a.txt", b"text"), ("b.txt", bytes(range(256)) * 20)))
    at = data.index(b"b.txt") + 5 + 4
    data[at] ^= 0xFF
    batch_id = await unpacked(piles, bytes(data), on_invalid="skip")
    assert await codes(piles, batch_id) == [(2, "invalid_archive_entry")]
    assert len(await piles.yard.lines(batch_id)) == 1


@pytest.mark.parametrize("data", [b"", b"no zip file", b"PK\x05\x06" + bytes(18)[:10]])
async def test_no_archive_at_all(piles: Piles, data: bytes) -> None:
    batch_id = await unpacked(piles, data)
    assert (await piles.yard.row(batch_id))["state"] == BatchState.FAILED
    assert await codes(piles, batch_id) == [(None, "invalid_archive")]


async def test_an_archive_of_nothing(piles: Piles) -> None:
    batch_id = await unpacked(piles, packed({"folder/": b""}))
    assert await codes(piles, batch_id) == [(None, "empty_file")]


async def test_a_bomb(piles: Piles) -> None:
    batch_id = await unpacked(piles, packed({"zeros.txt": bytes(30 * 1024 * 1024)}))
    assert await codes(piles, batch_id) == [(None, "archive_too_dense")]


async def test_a_bomb_that_lies_of_its_size(piles: Piles) -> None:
    data = bytearray(packed({"zeros.txt": bytes(30 * 1024 * 1024)}))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.rindex(signature) + at
        data[place : place + 4] = struct.pack("<I", 1000)
    batch_id = await unpacked(piles, bytes(data))
    assert (1, "invalid_archive_entry") in await codes(piles, batch_id)
    assert await piles.files() == []


async def test_limits(piles: Piles) -> None:
    data = packed({f"{n}.txt": bytes(1000) for n in range(11)})
    for settings, first in (
        ({"max_archive_entries": 10}, (None, "too_many_files")),
        ({"max_archive_bytes": 10_000}, (None, "archive_too_large")),
        ({"max_batch_lines": 10}, (None, "too_many_lines")),
        ({"max_file_bytes": 999}, (1, "file_too_large")),
    ):
        batch_id = await piles.create(data, kind=InputKind.ZIP, options={"task": TASK})
        await piles.expand(configured(piles.resources, **settings))
        assert (await piles.yard.row(batch_id))["state"] == BatchState.FAILED
        assert (await codes(piles, batch_id))[0] == first


async def test_a_directory_that_would_fill_the_memory_is_not_read(piles: Piles) -> None:
    data = packed({f"{n}": b"" for n in range(5000)})
    batch_id = await piles.create(data, kind=InputKind.ZIP, options={"task": TASK})
    read: list[object] = []
    original = zipfile.ZipFile.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "__init__", lambda *a, **k: read.append(original(*a, **k)))
        await piles.expand(configured(piles.resources, max_archive_entries=100))
    assert await codes(piles, batch_id) == [(None, "too_many_files")]
    assert read == []
