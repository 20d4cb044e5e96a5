"""From the lines of a Mistral batch to ours: `{"custom_id", "body"}` becomes a whole request."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Row
from starlette.requests import Request

from api.batches.given import parse_element, write_lines
from api.batches.sources import BYTES_A_TOKEN, Pile
from api.mistral.asked import Body, chat_of, embeddings_of
from shared.batches.line_reader import LineCutter, RawLine
from shared.batches.model import InputKind
from shared.errors import BadRequest, TooLarge
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources

GROWTH = 4
"""A copy says in every line what Mistral's say once: it is longer, but by no more than this times."""
_TOLD: Mapping[Endpoint, Callable[[Body], Body]] = {
    Endpoint.CHAT: chat_of,
    Endpoint.EMBEDDINGS: embeddings_of,
}


class Copier:
    """Writes Mistral's lines as ours; what is no request is left for the check."""

    def __init__(self, endpoint: Endpoint, model: str | None) -> None:
        self._endpoint = endpoint
        self._model = model

    def line(self, element: bytes, number: int) -> bytes:
        """Return a line of a body as ours."""
        return orjson.dumps(self._whole(parse_element(element, number), number))

    def copied(self, raw: bytes, number: int) -> bytes:
        """Return a line of a file as ours."""
        try:
            return orjson.dumps(self._whole(orjson.loads(raw), number))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            return raw

    def _whole(self, given: Any, number: int) -> Any:
        if not isinstance(given, dict):
            return given
        custom_id = given.get("custom_id")
        named = str(number - 1) if custom_id is None else custom_id
        whole = {"method": "POST", "url": self._endpoint, **given, "custom_id": named}
        body = given.get("body")
        if isinstance(body, dict):
            model = {} if self._model is None else {"model": self._model}
            whole["body"] = _TOLD[self._endpoint]({**model, **body})
        return whole


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
    most = GROWTH * resources.settings.max_file_bytes
    received = await write_lines(
        resources.blobs,
        _lines(resources, files),
        copier.copied,
        name="batch.jsonl",
        max_bytes=most,
    )
    tokens = received.size // BYTES_A_TOKEN
    return Pile(InputKind.JSONL, received.lines, received.size, tokens, received=received)


async def _lines(resources: Resources, files: Sequence[Row[Any]]) -> AsyncIterator[bytes]:
    longest, most = resources.settings.max_body_bytes, resources.settings.max_batch_lines
    count = 0
    for file in files:
        cutter = LineCutter(longest=longest)
        async for piece in resources.blobs.stream(file.blob):
            for cut in cutter.feed(piece):
                count += 1
                yield _held(cut, file.id, longest)
            _refuse_many(count, most)
        for cut in cutter.finish():
            count += 1
            yield _held(cut, file.id, longest)
    _refuse_many(count, most)


def _held(cut: RawLine, file_id: str, longest: int) -> bytes:
    if cut.raw is None:
        detail = f"Line {cut.number} of the file `{file_id}` is longer than {longest} bytes."
        raise TooLarge(detail, code="too_large", param="input_files", extra={"limit": longest})
    return cut.raw


def _refuse_many(count: int, most: int) -> None:
    if count > most:
        detail = f"The files have more than {most} lines: make several jobs of them."
        raise TooLarge(detail, code="too_many_lines", param="input_files", extra={"limit": most})
