"""A client of batches, and a look at what is stored."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from shared.batches.model import Batch, BatchInput
from shared.database import Row, fetch
from shared.files.model import StoredFile
from tests.api.whole_app import WholeApp

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
TASK: dict[str, Any] = {"model": "sandbox/extract", "schema": SCHEMA, "instructions": "The total."}


def line(custom_id: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """Return a line that can be done."""
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": text}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
        **more,
    }


def jsonl(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return lines as a file."""
    return b"".join(orjson.dumps(each) + b"\n" for each in lines)


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return files as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Clerk:
    """Sends requests as the tenant's administrator, unless told otherwise."""

    def __init__(self, app: WholeApp) -> None:
        self.app = app
        self.client = app.client

    async def upload(
        self, content: bytes, *, name: str = "lines.jsonl", purpose: str = "batch"
    ) -> str:
        """Upload a file; return its id."""
        reply = await self.client.post(
            "/v1/files", data={"purpose": purpose}, files={"file": (name, content)}
        )
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    async def post(self, key: str | None = None, /, **asked: Any) -> httpx.Response:
        """Ask for a batch."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return await self.client.post("/v1/batches", json=asked, headers=headers)

    async def create(self, **asked: Any) -> dict[str, Any]:
        """Ask for a batch that must be accepted; of one line, if nothing else is said."""
        given = asked.keys() & {"input_file_id", "requests", "files", "archive", "open"}
        reply = await self.post(**(asked if given else {"requests": [line("one")], **asked}))
        assert reply.status_code == 200, reply.text
        made: dict[str, Any] = reply.json()
        return made

    async def form(
        self, content: bytes, name: str, key: str | None = None, /, **fields: str
    ) -> httpx.Response:
        """Ask for a batch by a form."""
        headers = {} if key is None else {"Idempotency-Key": key}
        files = {"file": (name, content)}
        return await self.client.post("/v1/batches", data=fields, files=files, headers=headers)

    async def act(self, batch_id: str, what: str, **body: Any) -> httpx.Response:
        """Do something to a batch."""
        given = {"json": body} if body else {}
        return await self.client.post(f"/v1/batches/{batch_id}/{what}", **given)  # type: ignore[arg-type]

    async def rows(self, table: type[SQLModel]) -> list[Row]:
        """Return every row of a table."""
        async with self.app.resources.database.reading() as db:
            return list(await fetch(db, select(table.__table__)))  # type: ignore[attr-defined]

    async def row(self, batch_id: str) -> Row:
        """Return a batch's row."""
        return next(each for each in await self.rows(Batch) if each["id"] == batch_id)

    async def change(self, batch_id: str, **values: Any) -> None:
        """Change a batch's row, as the leader does."""
        async with self.app.resources.database.transaction() as db:
            await db.execute(update(Batch).where(col(Batch.id) == batch_id).values(**values))

    async def lines_of(self, batch_id: str) -> list[list[dict[str, Any]]]:
        """Return the lines of each input of a batch."""
        inputs = [row for row in await self.rows(BatchInput) if row["batch_id"] == batch_id]
        blobs = self.app.resources.blobs
        raws = [await blobs.get(row["blob"]) for row in inputs]
        return [[orjson.loads(each) for each in raw.splitlines()] for raw in raws]

    async def nothing_stored(self) -> bool:
        """Tell whether there is no batch, and no blob but those of files."""
        files = {row["blob"] for row in await self.rows(StoredFile)}
        blobs = {str(each.relative_to(self.folder)) for each in self.blobs()}
        return not await self.rows(Batch) and not await self.rows(BatchInput) and blobs == files

    @property
    def folder(self) -> Path:
        """Where the blobs are."""
        return self.app.settings.data_dir / "blobs"

    def blobs(self) -> list[Path]:
        """Return the files in the blob store."""
        return [each for each in self.folder.rglob("*") if each.is_file()]
