"""A document of four parts, what a model says to each, and a bench to read it on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import text

from shared.clock import now_ms
from shared.database import Row
from shared.files import store as file_store
from shared.files.blobs import new_key
from shared.ids import new_id
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import JobState
from tests.fakes.upstream_client import rule
from tests.integration.documents.files_made import pdf_of
from tests.integration.workers.conftest import Bench

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "total": {"type": "number"},
        "seller": {"$ref": "#/$defs/Seller"},
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
    },
    "required": ["title", "total", "seller", "items"],
    "additionalProperties": False,
    "$defs": {
        "Seller": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "vat": {"type": "string"}},
            "required": ["name", "vat"],
            "additionalProperties": False,
        },
        "Item": {
            "type": "object",
            "properties": {"sku": {"type": "string"}, "price": {"type": "number"}},
            "required": ["sku", "price"],
            "additionalProperties": False,
        },
    },
}
FILLER = "Nothing of any interest stands in this line of the report, which is long.\n"
PAGES = [
    [f"Harbour report {number}", *[FILLER.strip()] * 40, f"Fact {number}: {fact}"]
    for number, fact in enumerate(
        ["Title Quay works", "Seller Tidewater", "VAT GB 123", "Total 1,250.50"], 1
    )
]
ANSWERS: dict[int, dict[str, Any]] = {
    1: {"title": "Quay works", "total": None, "seller": None, "items": [{"sku": "a", "price": 1}]},
    2: {
        "title": None,
        "total": None,
        "seller": {"name": "Tidewater", "vat": None},
        "items": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}],
    },
    3: {"title": None, "total": None, "seller": {"name": None, "vat": "GB 123"}, "items": []},
    4: {"title": None, "total": 1250.5, "seller": None, "items": [{"sku": "c", "price": 3}]},
}
WHOLE = {
    "title": "Quay works",
    "total": 1250.5,
    "seller": {"name": "Tidewater", "vat": "GB 123"},
    "items": [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}, {"sku": "c", "price": 3}],
}


@dataclass
class Long:
    """A bench whose model takes 6,000 characters at once, and the words that mark a test's calls."""

    bench: Bench
    tmp_path: Path
    words: str

    async def submit(
        self,
        pages: Sequence[Sequence[str]] = PAGES,
        *,
        attempts: int = 3,
        model: str = "m",
        **more: object,
    ) -> str:
        """Store a document and its job."""
        data, now = pdf_of(pages), now_ms()
        file = {"id": new_id("file-"), "tenant_id": "ten_1", "filename": "report.pdf"}
        file |= {"purpose": "user_data", "sha256": "", "blob": new_key("files")}
        await self.bench.resources.blobs.put(file["blob"], data)
        async with self.bench.resources.database.transaction() as db:
            row = {**file, "bytes": len(data), "created_at": now}
            await file_store.insert_file(db, row)
        body: dict[str, object] = {
            **more,
            "model": model,
            "instructions": self.words,
            "schema": SCHEMA,
            "file_id": file["id"],
        }
        raw = orjson.dumps(body)
        draft = JobDraft(
            "ten_1",
            Endpoint.DOCUMENTS,
            model,
            raw,
            len(raw),
            now,
            now + 3_600_000,
            max_attempts=attempts,
        )
        job_id: str = (await self.bench.submitter.submit(draft)).job["id"]
        return job_id

    async def run(self, job_id: str) -> Row:
        """Work on the job, waits left out, until it ends."""
        while True:
            job = await self.bench.run(job_id)
            if job["state"] != JobState.QUEUED:
                return job
            await self.wake(job_id)

    async def wake(self, job_id: str) -> None:
        """Let the wait of a job be over."""
        await self.execute("UPDATE job SET not_before = NULL WHERE id = :id", job_id)

    async def execute(self, statement: str, job_id: str) -> None:
        """Change a row behind everybody's back."""
        async with self.bench.resources.database.transaction() as db:
            await db.execute(text(statement), {"id": job_id})

    async def has_parts(self, job_id: str, count: int) -> bool:
        """Tell whether so many answers of a job are kept."""
        return len(await self.bench._rows("job_part", "job_id", job_id)) >= count

    def script(self, *rules: Mapping[str, object]) -> None:
        """Script the parts: these rules first, then the usual answers."""
        self.bench.upstream.script(*rules, *(part(number) for number in ANSWERS))

    def asked(self) -> list[str]:
        """Return the first words of each call of this test, in order."""
        calls = self.bench.upstream.calls(marker=self.words)
        return [" ".join(call["marker"].split()[:2]) for call in calls]


def part(number: int, action: str = "ok", **options: Any) -> dict[str, object]:
    """Return the rule for the call for one part, which answers it unless told otherwise."""
    options.setdefault("content", orjson.dumps(ANSWERS[number]).decode())
    return rule(action, marker=f"Part {number} of 4", **options)
