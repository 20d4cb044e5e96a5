"""From the lines of a Mistral batch to ours: `{"custom_id", "body"}` becomes a whole request."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Row
from starlette.requests import Request

from api.batches.checking import Turns
from api.batches.sources import BYTES_A_TOKEN, MEDIA_TYPE, Pile
from api.mistral.asked import Body, chat_of, embeddings_of
from api.multipart import FOLDER, ReceivedFile
from shared.batches.line_reader import LineCutter, RawLine
from shared.batches.model import InputKind
from shared.errors import BadRequest, TooLarge
from shared.files.blobs import new_key
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources

WRITTEN_BYTES = 256 * 1024
GROWTH = 4
"""A copy says in every line what Mistral's say once: it is longer, but by no more than this times."""
_TOLD: Mapping[Endpoint, Callable[[Body], Body]] = {
    Endpoint.CHAT: chat_of,
    Endpoint.EMBEDDINGS: embeddings_of,
}


class Copier:
    """Writes Mistral's lines as ours, numbered on and on; what is no request is left for the check."""

    def __init__(self, endpoint: Endpoint, model: str | None) -> None:
        self._endpoint = endpoint
        self._model = model
        self.count = 0

    def line(self, given: Any) -> Any:
        """Return a line as ours."""
        self.count += 1
        if not isinstance(given, dict):
            return given
        custom_id = given.get("custom_id")
        named = str(self.count - 1) if custom_id is None else custom_id
        whole = {"method": "POST", "url": self._endpoint, **given, "custom_id": named}
        body = given.get("body")
        if isinstance(body, dict):
            model = {} if self._model is None else {"model": self._model}
            whole["body"] = _TOLD[self._endpoint]({**model, **body})
        return whole

    def raw(self, raw: bytes) -> bytes:
        """Return a line as ours, with its end."""
        try:
            given = orjson.loads(raw)
        except orjson.JSONDecodeError:
            self.count += 1
            return raw + b"\n"
        return orjson.dumps(self.line(given)) + b"\n"


async def copy_files(request: Request, files: Sequence[Row[Any]], copier: Copier) -> Pile:
    """Write the lines of files into the blob store as ours; on failure nothing is kept.

    Raises:
        TooLarge: a line, or all of them.
        BadRequest: a file is not for a batch.
    """
    resources: Resources = request.state.resources
    for file in files:
        if file.purpose != "batch":
            detail = f"The file `{file.id}` was uploaded with the purpose `{file.purpose}`: upload it with `batch`."
            raise BadRequest(detail, param="input_files", code="invalid_file_purpose")
    key = new_key(FOLDER)
    most = GROWTH * resources.settings.max_file_bytes
    lines = _lines(resources, files, copier)
    size, sha256 = await resources.blobs.put_stream(key, lines, most)
    received = ReceivedFile(key, "batch.jsonl", MEDIA_TYPE, size, sha256, copier.count)
    return Pile(InputKind.JSONL, copier.count, size, size // BYTES_A_TOKEN, received=received)


async def _lines(
    resources: Resources, files: Sequence[Row[Any]], copier: Copier
) -> AsyncIterator[bytes]:
    turns, written = Turns(), bytearray()
    longest, most = resources.settings.max_body_bytes, resources.settings.max_batch_lines
    for file in files:
        cutter = LineCutter(longest=longest)
        async for piece in resources.blobs.stream(file.blob):
            for cut in cutter.feed(piece):
                written += copier.raw(_held(cut, file.id, longest))
                await turns.breathe()
            _refuse_many(copier.count, most)
            if len(written) >= WRITTEN_BYTES:
                yield bytes(written)
                written.clear()
        for cut in cutter.finish():
            written += copier.raw(_held(cut, file.id, longest))
    _refuse_many(copier.count, most)
    yield bytes(written)


def _held(cut: RawLine, file_id: str, longest: int) -> bytes:
    if cut.raw is None:
        detail = f"Line {cut.number} of the file `{file_id}` is longer than {longest} bytes."
        raise TooLarge(detail, code="too_large", param="input_files", extra={"limit": longest})
    return cut.raw


def _refuse_many(count: int, most: int) -> None:
    if count > most:
        detail = f"The files have more than {most} lines: make several jobs of them."
        raise TooLarge(detail, code="too_many_lines", param="input_files", extra={"limit": most})
