"""Lines of one batch, stored while it is paused, so that a drain starts when it is resumed."""

import asyncio
import time

import httpx
import orjson
from sqlalchemy import select
from sqlmodel import col

from bench import prompts
from bench.service import MODEL, Service
from shared.batches.model import Batch, BatchInput
from shared.database import Database

ENDPOINT = "/v1/chat/completions"
STORED_WITHIN_S = 120.0
POLL_S = 0.02
TIMEOUT_S = 60.0


async def put(running: Service, database: Database, *, lines: int) -> str:
    """Upload a file of chat requests, make a paused batch of it, wait until all are jobs; return its id.

    Raises:
        RuntimeError: the service refused it, or did not store every line.
    """
    batch_id = await asyncio.to_thread(_create, running, lines)
    query = select(col(BatchInput.stored), col(BatchInput.stored_jobs))
    query = query.where(col(BatchInput.batch_id) == batch_id)
    deadline = time.monotonic() + STORED_WITHIN_S
    while time.monotonic() < deadline:
        running.check()
        async with database.reading() as db:
            stored, jobs = (await db.execute(query)).one()
        if stored and jobs == lines:
            return batch_id
        await asyncio.sleep(POLL_S)
    raise RuntimeError(f"not all of {lines} lines were stored in {STORED_WITHIN_S} s")


async def let_go(running: Service, batch_id: str) -> None:
    """Resume the batch."""
    await asyncio.to_thread(_resume, running, batch_id)


async def ended(database: Database, batch_id: str) -> int:
    """Count the lines that have ended."""
    query = select(col(Batch.outcomes)).where(col(Batch.id) == batch_id)
    async with database.reading() as db:
        return int((await db.execute(query)).scalar_one())


def _create(running: Service, lines: int) -> str:
    content = b"".join(map(_line, range(lines)))
    with _client(running) as client:
        form = {"file": ("lines.jsonl", content, "application/jsonl")}
        file_id = _id(client.post("/v1/files", data={"purpose": "batch"}, files=form))
        asked = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h"}
        batch_id = _id(client.post("/v1/batches", json=asked))
        return _id(client.post(f"/v1/batches/{batch_id}/pause"))


def _resume(running: Service, batch_id: str) -> None:
    with _client(running) as client:
        _id(client.post(f"/v1/batches/{batch_id}/resume"))


def _line(number: int) -> bytes:
    body = prompts.chat(number, model=MODEL)
    line = {"custom_id": f"line-{number}", "method": "POST", "url": ENDPOINT, "body": body}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _client(running: Service) -> httpx.Client:
    headers = {"Authorization": f"Bearer {running.key}"}
    url = f"http://127.0.0.1:{running.port}"
    return httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)


def _id(answer: httpx.Response) -> str:
    if answer.is_error:
        raise RuntimeError(f"the service answered {answer.status_code}: {answer.text[:300]}")
    return str(answer.json()["id"])
