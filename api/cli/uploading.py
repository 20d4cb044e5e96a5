"""Uploading documents, some at once, each noted as soon as the service has it."""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from api.cli.client import Client, RefusedError
from api.cli.discovery import Document
from api.cli.documents import READ_BYTES, TOO_LARGE
from api.cli.errors import MISUSED, CommandError
from api.cli.results import Results, refused_line
from api.cli.run_log import RunLog, Upload

AT_ONCE = 16
PURPOSE = "user_data"
LIFE_S = 30 * 86_400
"""After so long the service forgets what was uploaded, as it does with the input of a batch."""


async def upload_all(
    client: Client,
    log: RunLog,
    results: Results,
    documents: Sequence[Document],
    on_each: Callable[[], None],
) -> None:
    """Upload those that the log does not know; one that the service does not take gets its line.

    Raises:
        CommandError: a document cannot be read, or the service not be used.
    """
    queue = iter([each for each in documents if each.identity not in log.uploads])

    async def lane() -> None:
        for document in queue:
            await _upload(client, log, results, document)
            on_each()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(lane())
    except* CommandError as failed:
        raise first_of(failed) from failed


def has_changed(document: Document, upload: Upload) -> bool:
    """Tell whether a document is another than the one that was uploaded."""
    stat = document.path.stat()
    if (stat.st_size, stat.st_mtime_ns) == (upload.size, upload.changed_ns):
        return False
    return _digest(document.path) != upload.sha256


def first_of(failed: BaseExceptionGroup[CommandError]) -> CommandError:
    """Return the first of several complaints: the others are of the same."""
    first = failed.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _upload(client: Client, log: RunLog, results: Results, document: Document) -> None:
    try:
        upload = await asyncio.to_thread(_describe, document)
        await _send(client, document, upload)
    except OSError as error:
        message = f"{document.path} cannot be read: {error.strerror}."
        raise CommandError(message, exit_code=MISUSED) from error
    if upload.error is not None:
        results.write([refused_line(upload)])
    log.uploaded(upload, at=results.size)


async def _send(client: Client, document: Document, upload: Upload) -> None:
    name = PurePosixPath(upload.name).name
    try:
        upload.file_id = await client.upload(
            document.path, name=name, purpose=PURPOSE, life_s=LIFE_S
        )
    except RefusedError as error:
        # What is wrong with one file is its own matter; anything else would hold for all of them.
        if error.param != "file" and error.status != TOO_LARGE:
            raise
        upload.error = {"code": error.code, "message": str(error)}


def _describe(document: Document) -> Upload:
    stat = document.path.stat()
    return Upload(
        name=document.name,
        path=document.identity,
        size=stat.st_size,
        changed_ns=stat.st_mtime_ns,
        sha256=_digest(document.path),
    )


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as content:
        while piece := content.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
