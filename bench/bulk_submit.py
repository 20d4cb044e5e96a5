"""*bulk submit*: from the upload of a file to the moment when every line of it is stored as a job."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import select
from sqlmodel import col

from bench import prompts, service
from bench.processes import cpu_seconds, resident_mb, tree
from bench.service import MODEL, Service
from bench.upstreams import Upstream
from shared.batches.model import BatchInput
from shared.database import Database
from tests.servers import DURABLE, PostgresServer

WARM_UP = 1000
POLL_S = 0.02
MOST_S = 1200.0
PARTS = ("api", "scheduler")
"""No worker: what is measured is the way in."""

NO_LIMITS = {
    f"PENSTOCK_MAX_{name}": str(10**13)
    for name in (
        "BATCH_LINES",
        "FILE_BYTES",
        "QUEUED_JOBS",
        "QUEUED_BYTES",
        "QUEUED_JOBS_PER_TENANT",
        "QUEUED_BYTES_PER_TENANT",
        "QUEUED_TOKENS_PER_TENANT",
    )
}
"""A million lines are what a tenant may have waiting, and some are there from the warm-up."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of chat requests whose every line is a job now; memory in MB above that at rest."""

    lines: int
    megabytes: float
    upload_s: float
    create_s: float
    seconds: float
    cpu_ms: Mapping[str, float]
    growth_mb: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Return lines a second, over all of it."""
        return self.lines / self.seconds


def measure(upstream: Upstream, lines: int) -> Stored:
    """Submit a file of so many lines to a fresh service on SQLite."""
    with service.running(upstream.port, concurrency=64, parts=PARTS, settings=NO_LIMITS) as running:
        return asyncio.run(_measure(running, lines))


def on_postgres(upstream: Upstream, lines: int) -> Stored:
    """Submit it to a fresh service with a PostgreSQL of its own, which waits for the disk."""
    server = PostgresServer(settings=DURABLE)
    try:
        server.start()
        settings = {**NO_LIMITS, "PENSTOCK_DATABASE_URL": server.url(server.create_database())}
        with service.running(
            upstream.port, concurrency=64, parts=PARTS, settings=settings
        ) as running:
            running.others["postgres"] = lambda: sum(map(cpu_seconds, tree(server.pid)))
            return asyncio.run(_measure(running, lines))
    finally:
        server.remove()


async def _measure(running: Service, lines: int) -> Stored:
    database = Database(running.environment["PENSTOCK_DATABASE_URL"])
    try:
        with _file(WARM_UP) as path:
            await _submit(running, database, path, WARM_UP)
        with _file(lines) as path:
            return await _submit(running, database, path, lines)
    finally:
        await database.close()


@contextlib.contextmanager
def _file(lines: int) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(suffix=".jsonl")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for number in range(lines):
                file.write(_line(number))
        yield path
    finally:
        path.unlink()


def _line(number: int) -> bytes:
    line: dict[str, Any] = {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": prompts.chat(number, model=MODEL),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


async def _submit(running: Service, database: Database, path: Path, lines: int) -> Stored:
    used, at_rest = running.cpu_s(), {name: _now_mb(running, name) for name in running.parts}
    began = time.perf_counter()
    file_id = await asyncio.to_thread(_upload, running, path)
    uploaded = time.perf_counter()
    batch_id = await asyncio.to_thread(_create, running, file_id)
    created = time.perf_counter()
    await _stored(running, database, batch_id, lines)
    seconds = time.perf_counter() - began
    after, peaks = running.cpu_s(), running.rss_mb()
    size = await asyncio.to_thread(os.path.getsize, path)
    return Stored(
        lines=lines,
        megabytes=size / 1e6,
        upload_s=uploaded - began,
        create_s=created - uploaded,
        seconds=seconds,
        cpu_ms={name: 1000 * (after[name] - used[name]) / lines for name in after},
        growth_mb={name: max(0.0, peaks[name] - at_rest[name]) for name in at_rest},
    )


def _now_mb(running: Service, name: str) -> float:
    return max(map(resident_mb, running.parts[name].pids))


def _client(running: Service) -> httpx.Client:
    headers = {"Authorization": f"Bearer {running.key}"}
    url = f"http://127.0.0.1:{running.port}"
    return httpx.Client(base_url=url, headers=headers, timeout=MOST_S, trust_env=False)


def _upload(running: Service, path: Path) -> str:
    with _client(running) as client, path.open("rb") as file:
        form = {"file": ("requests.jsonl", file, "application/octet-stream")}
        answer = client.post("/v1/files", data={"purpose": "batch"}, files=form)
    return _id(answer)


def _create(running: Service, file_id: str) -> str:
    asked = {
        "input_file_id": file_id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    with _client(running) as client:
        return _id(client.post("/v1/batches", json=asked))


def _id(answer: httpx.Response) -> str:
    if answer.is_error:
        raise RuntimeError(f"the service answered {answer.status_code}: {answer.text[:300]}")
    return str(answer.json()["id"])


async def _stored(running: Service, database: Database, batch_id: str, lines: int) -> None:
    jobs, deadline = 0, time.monotonic() + MOST_S
    query = select(col(BatchInput.stored), col(BatchInput.stored_jobs))
    query = query.where(col(BatchInput.batch_id) == batch_id)
    while time.monotonic() < deadline:
        running.check()
        async with database.reading() as db:
            stored, jobs = (await db.execute(query)).one()
        if stored and jobs != lines:
            raise RuntimeError(f"{jobs} of {lines} lines became jobs")
        if stored:
            return
        await asyncio.sleep(POLL_S)
    raise RuntimeError(f"{jobs} of {lines} lines were stored in {MOST_S} s")
