"""Many documents, one task: each a job of its own, so many in hand at once, each told when it is done."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import orjson
from pydantic import JsonValue

from api.cli.client import Client, Job, RefusedError
from api.cli.errors import MISUSED, CommandError

READ_BYTES = 1 << 20
REFUSED = "refused"
TOO_LARGE = 413


@dataclass(frozen=True, slots=True)
class Task:
    """What to read out of each document, by which model, and whom to tell of its end."""

    instructions: str
    schema: dict[str, JsonValue]
    model: str
    webhook_url: str | None = None

    def asked(self) -> dict[str, JsonValue]:
        """Return what a batch is asked to do with each of its files."""
        return {"model": self.model, "instructions": self.instructions, "schema": self.schema}

    def fields(self) -> dict[str, str]:
        """Return the parts of the form that stand beside the file."""
        fields = {
            "model": self.model,
            "instructions": self.instructions,
            "schema": orjson.dumps(self.schema).decode(),
        }
        if self.webhook_url is not None:
            fields["webhook"] = orjson.dumps({"url": self.webhook_url}).decode()
        return fields


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended with one document; `job` is None when it was refused before there was one."""

    file: Path
    status: str
    job: Job | None
    error: dict[str, Any] | None

    @property
    def ok(self) -> bool:
        """Tell whether there is an answer."""
        return self.status == "completed"

    @property
    def data(self) -> Any:
        """The answer to the schema, None without one."""
        return self.job["result"]["body"]["data"] if self.ok and self.job else None

    @property
    def ms(self) -> int | None:
        """Milliseconds from the job's creation to its end."""
        if self.job is None or not self.job["finished_at"]:
            return None
        created, finished = (
            datetime.fromisoformat(self.job[name]) for name in ("created_at", "finished_at")
        )
        return round((finished - created).total_seconds() * 1000)

    def line(self) -> dict[str, Any]:
        """Return what stands in `results.jsonl`."""
        job = self.job or {}
        answer = {"data": self.data} if self.ok else {"error": self.error}
        return {
            "file": self.file.name,
            "status": self.status,
            **answer,
            "model": job.get("model"),
            "attempts": len(job.get("attempts", ())),
            "usage": job.get("usage"),
            "cost_usd": job.get("cost_usd"),
            "ms": self.ms,
            "job": job.get("id"),
        }


async def process(
    client: Client,
    files: Sequence[Path],
    task: Task,
    *,
    at_once: int,
    on_done: Callable[[Outcome], None],
) -> list[Outcome]:
    """Work through the files, `at_once` in hand; return the outcomes in the order of the files.

    Raises:
        CommandError: the service cannot be used, or refuses the task itself.
    """
    queue = iter(list(enumerate(files)))
    outcomes: dict[int, Outcome] = {}

    async def lane() -> None:
        for number, file in queue:
            outcomes[number] = await _process_one(client, file, task)
            on_done(outcomes[number])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(files))):
                group.create_task(lane())
    except* CommandError as failed:
        raise failed.exceptions[0] from failed
    return [outcomes[number] for number in sorted(outcomes)]


async def _process_one(client: Client, file: Path, task: Task) -> Outcome:
    fields = task.fields()
    try:
        key = await asyncio.to_thread(_idempotency_key, file, fields.values())
        submitted = await client.submit_document(file, fields, idempotency_key=key)
    except RefusedError as error:
        # What is wrong with one file is its own matter; anything else would hold for all of them.
        if error.param != "file" and error.status != TOO_LARGE:
            raise
        return Outcome(file, REFUSED, None, {"code": error.code, "message": str(error)})
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read: {error.strerror}.", exit_code=MISUSED
        ) from error
    job = await client.wait(submitted.job["id"])
    if submitted.replayed and job["status"] != "completed":
        # An earlier run handed it in, and it failed there: asking again means trying again.
        await client.retry(job["id"])
        job = await client.wait(job["id"])
    return Outcome(file, job["status"], job, job["error"])


def _idempotency_key(file: Path, options: Iterable[str]) -> str:
    digest = sha256(orjson.dumps(list(options)))
    with file.open("rb") as content:
        while piece := content.read(READ_BYTES):
            digest.update(piece)
    return f"process-{digest.hexdigest()}"


@contextmanager
def results_file(path: Path) -> Iterator[Callable[[Outcome], None]]:
    """Give what writes one line an outcome, at once, so that nothing is lost when we are stopped.

    Raises:
        CommandError: the file cannot be written.
    """
    try:
        file: IO[bytes] = path.open("wb", buffering=0)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written: {error.strerror}.", exit_code=MISUSED
        ) from error
    with file:
        yield lambda outcome: _write(file, outcome)


def _write(file: IO[bytes], outcome: Outcome) -> None:
    file.write(orjson.dumps(outcome.line(), option=orjson.OPT_APPEND_NEWLINE))


def read_schema(path: Path) -> dict[str, JsonValue]:
    """Read a JSON schema.

    Raises:
        CommandError: the file is not there, or holds no JSON object.
    """
    try:
        schema = orjson.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.", exit_code=MISUSED
        ) from error
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{path} is not JSON: {error}.", exit_code=MISUSED) from error
    if not isinstance(schema, dict):
        raise CommandError(f"{path} holds no JSON schema: it must be an object.", exit_code=MISUSED)
    return schema


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        CommandError: it is not there, or no UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise CommandError(
            f"{path} cannot be read: {error.strerror}.", exit_code=MISUSED
        ) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not text in UTF-8.", exit_code=MISUSED) from error
