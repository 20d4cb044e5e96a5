"""Batches that are yet to be read: their inputs in the blob store, and a leader that reads them."""

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import insert
from sqlmodel import col, select

from shared.batches.model import BatchInput, BatchState, InputKind
from shared.batches.options import BatchOptions
from shared.database import Row, fetch
from shared.files.model import StoredFile
from shared.ids import new_id
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources
from shared.settings import Settings
from tests.integration.batches.yard import TENANT, Yard
from workers.batches.turns import Turns

CHAT = Endpoint.CHAT
TASK: dict[str, Any] = {
    "model": "sandbox/echo",
    "instructions": "Read the invoice.",
    "schema": {"type": "object", "properties": {"total": {"type": "number"}}},
}


def chat(custom_id: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    """Return a line."""
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body, **more}


def jsonl(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return lines as a file."""
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return files as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def configured(resources: Resources, **settings: Any) -> Resources:
    """Return the resources under other settings."""
    return replace(resources, settings=Settings.model_copy(resources.settings, update=settings))


class Piles:
    """What a test does with batches that are yet to be read."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.resources = yard.resources

    async def create(
        self,
        data: bytes,
        *,
        kind: InputKind = InputKind.JSONL,
        options: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Store a batch of one input."""
        checked = BatchOptions.model_validate(options or {})
        stored = checked.model_dump(mode="json", by_alias=True)
        row = {"state": BatchState.VALIDATING, "in_progress_at": None, "options": stored}
        batch_id = await self.yard.batch(0, **row, **changes)
        await self.append(batch_id, data, number=0, kind=kind)
        return batch_id

    async def append(
        self, batch_id: str, data: bytes, *, number: int, kind: InputKind = InputKind.JSONL
    ) -> None:
        """Add an input to a batch."""
        blob = f"batches/{new_id('in')}"
        await self.resources.blobs.put(blob, data)
        given = {"kind": kind, "blob": blob, "bytes": len(data), "lines": data.count(b"\n")}
        async with self.resources.database.transaction() as db:
            row = insert(BatchInput).values(batch_id=batch_id, number=number, **given)
            await db.execute(row)

    async def expand(self, resources: Resources | None = None) -> None:
        """Read everything that there is to read."""
        turns = Turns(resources or self.resources)
        for _ in range(1000):
            if not await turns.perform():
                return
        raise AssertionError("the reading comes to no end")

    async def put_file(self, data: bytes = b"text", *, tenant_id: str = TENANT) -> str:
        """Store a file of a tenant; return its id."""
        row: dict[str, Any] = {
            "id": new_id("file").replace("_", "-"),
            "tenant_id": tenant_id,
            "filename": "a.txt",
            "purpose": "user_data",
            "bytes": len(data),
            "sha256": "",
            "blob": f"files/{new_id('blob')}",
            "created_at": 1,
        }
        await self.resources.blobs.put(row["blob"], data)
        async with self.resources.database.transaction() as db:
            await db.execute(insert(StoredFile).values(**row))
        return str(row["id"])

    async def files(self) -> Sequence[Row]:
        """Return every stored file."""
        async with self.resources.database.reading() as db:
            table = StoredFile.__table__  # type: ignore[attr-defined]
            return await fetch(db, select(table).order_by(col(StoredFile.id)))

    async def inputs(self, batch_id: str) -> Sequence[Row]:
        """Return what a batch is made of."""
        async with self.resources.database.reading() as db:
            table = BatchInput.__table__  # type: ignore[attr-defined]
            query = select(table).where(col(BatchInput.batch_id) == batch_id)
            return await fetch(db, query.order_by(col(BatchInput.number)))
