"""From the stored body to what is asked of a model: documents become text here."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson
from pydantic import JsonValue

from shared.documents.chunks import Chunk, split
from shared.documents.extraction import Extraction, ExtractionError, Images
from shared.documents.long_prompt import OVERHEAD
from shared.documents.prompt import extraction_body
from shared.files import store as file_store
from shared.inference.dialect import Dialect, Operation
from shared.jobs.claims import ClaimedJob
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import Reason
from workers.resources import WorkerResources

LEAST_CHUNK_CHARS = 500


class Unworkable(Exception):
    """The job cannot be done as it is; its own error, and nobody else's trouble."""

    def __init__(self, reason: Reason, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Document:
    """The document behind a `/v1/documents` job, and the schema that its answer must meet."""

    filename: str
    instructions: str
    schema: dict[str, JsonValue]
    extraction: Extraction
    chunks: tuple[Chunk, ...] = ()
    """The pieces to read it in, where it is too long to be read at once."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be asked, in the dialect of the job's endpoint, and where it came from."""

    operation: Operation
    body: dict[str, JsonValue]
    document: Document | None = None
    dialect: Dialect = Dialect.CHAT

    @property
    def streams(self) -> bool:
        """Tell whether the client asked for a stream, so that the worker reads one."""
        return self.operation is Operation.GENERATE and self.body.get("stream") is True


async def prepare(job: ClaimedJob, resources: WorkerResources) -> Work:
    """Load the body; extract the document's text if there is one.

    Raises:
        Unworkable: the document is gone, broken, encrypted, empty or too long.
    """
    body = orjson.loads(await _stored(job, resources))
    endpoint = Endpoint(job.endpoint)
    if endpoint is Endpoint.DOCUMENTS:
        return await _document_work(job, body, resources)
    return Work(endpoint.operation, body, dialect=endpoint.dialect)


async def _stored(job: ClaimedJob, resources: WorkerResources) -> bytes:
    if job.blob is None:
        return job.body or b"{}"
    try:
        return await resources.blobs.get(job.blob)
    except FileNotFoundError as error:
        message = "The stored request is gone: submit the job again."
        raise Unworkable(Reason.INTERNAL_ERROR, "request_lost", message) from error


async def _document_work(
    job: ClaimedJob, body: dict[str, JsonValue], resources: WorkerResources
) -> Work:
    # One that came a moment ago is learned of here.
    await resources.route(job.model)
    async with resources.database.reading() as db:
        file = await file_store.get(db, job.tenant_id, str(body["file_id"]))
    if file is None:
        raise _gone(body)
    try:
        async with resources.blobs.local_path(file.blob) as path:
            extraction = await resources.extractor.extract(
                path,
                filename=file.filename,
                content_type=file.content_type,
                images=_wanted_images(body, job, resources),
            )
    except FileNotFoundError as error:
        raise _gone(body) from error
    except ExtractionError as error:
        raise Unworkable(Reason.INVALID_DOCUMENT, error.code, error.message) from error
    schema = body["schema"]
    if not isinstance(schema, dict):
        raise Unworkable(Reason.REJECTED, "invalid_schema", "`schema` is not a JSON object.")
    instructions = str(body.get("instructions") or "")
    document = Document(file.filename, instructions, schema, extraction)
    if len(extraction.text) > resources.context_chars(job.model):
        return Work(Operation.GENERATE, {}, await asyncio.to_thread(_cut, document, job, resources))
    chat = extraction_body(
        model=job.model,
        text=extraction.text,
        filename=file.filename,
        instructions=instructions,
        schema=schema,
        images=extraction.images,
    )
    return Work(Operation.GENERATE, chat, document)


def _wanted_images(
    body: Mapping[str, JsonValue], job: ClaimedJob, resources: WorkerResources
) -> Images:
    asked = body.get("images") or "auto"
    if asked == "always":
        return Images.ALL
    sees = asked == "auto" and resources.sees(job.model)
    return Images.MISSING if sees else Images.NONE


def _gone(body: dict[str, JsonValue]) -> Unworkable:
    message = f"The file {body['file_id']} was deleted before the job ran."
    return Unworkable(Reason.INVALID_DOCUMENT, "file_not_found", message)


def _cut(document: Document, job: ClaimedJob, resources: WorkerResources) -> Document:
    """Return the document with its chunks, each as large as the model's window allows."""
    window = resources.context_chars(job.model)
    words = len(document.instructions) + len(orjson.dumps(document.schema))
    room = window - words - OVERHEAD
    text = document.extraction.text
    if room < LEAST_CHUNK_CHARS:
        message = (
            f"The instructions and the schema ({words:,} characters) leave no room for a part of the"
            f" document: {job.model} takes {window:,} characters. Shorten them, or name a model with"
            " a larger window."
        )
        raise Unworkable(Reason.INVALID_DOCUMENT, "document_too_long", message)
    chunks = split(text, room, document.extraction.page_starts)
    most = resources.settings.max_document_chunks
    if len(chunks) > most:
        message = (
            f"The document has {len(text):,} characters of text, which is {len(chunks)} parts of the"
            f" {room:,} that {job.model} takes at once; the limit is {most} parts. Split the"
            " document, name a model with a larger window, or ask the operator to raise"
            " PENSTOCK_MAX_DOCUMENT_CHUNKS."
        )
        raise Unworkable(Reason.INVALID_DOCUMENT, "document_too_long", message)
    return replace(document, chunks=tuple(chunks))
