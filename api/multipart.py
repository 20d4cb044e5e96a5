"""Reading multipart/form-data as it arrives: fields into memory, the file into the blob store."""

import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from api.body import announced_bytes
from shared.errors import BadRequest, TooLarge
from shared.files.blobs import BlobStore, new_key, too_large

MAX_FIELD_BYTES = 1024 * 1024
MAX_FIELDS_BYTES = 2 * 1024 * 1024
MAX_PARTS = 32
MAX_FILENAME = 255
FOLDER = "files"
_MEDIA_TYPE = re.compile(rb"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,120}")


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file that is safe in the blob store, and in no table yet: store it, or delete the blob."""

    blob: str
    filename: str
    content_type: str | None
    size: int
    sha256: str
    lines: int


@dataclass(slots=True)
class Form:
    """What a form held: texts by name, and its one file."""

    fields: dict[str, str] = field(default_factory=dict)
    file: ReceivedFile | None = None


async def read_multipart(
    request: Request,
    blobs: BlobStore,
    max_file_bytes: int,
    *,
    limit: Callable[[Mapping[str, str]], int] | None = None,
) -> Form:
    """Read a form with at most one file, in a part called `file`.

    `limit`, called when the file begins with the fields that stood before it, returns how many
    bytes it may have, or raises to refuse it unread. Nothing stays in the blob store on failure.

    Raises:
        BadRequest: not such a form.
        TooLarge: the file, or the fields together.
    """
    parts = _Parts(request, _boundary(request))
    if announced_bytes(request) > max_file_bytes + MAX_FIELDS_BYTES:
        raise too_large(max_file_bytes)
    form = Form()
    try:
        async for part in parts.read():
            if part.filename is None:
                await _add_field(form, part, parts)
            else:
                allowed = limit(form.fields) if limit else max_file_bytes
                await _add_file(form, part, parts, blobs, min(allowed, max_file_bytes))
    except BaseException:
        if form.file is not None:
            await blobs.delete(form.file.blob)
        raise
    return form


def json_field(fields: Mapping[str, str], name: str) -> Any:
    """Return what a field has as JSON.

    Raises:
        BadRequest: it is no JSON.
    """
    try:
        return orjson.loads(fields[name])
    except orjson.JSONDecodeError as error:
        detail = f"The part `{name}` of the form is not JSON: {error.msg} at {error.pos}."
        raise BadRequest(detail, param=name) from error


@dataclass(slots=True)
class _Part:
    """The head of one part."""

    name: str
    filename: str | None
    content_type: str | None


async def _add_field(form: Form, part: _Part, parts: "_Parts") -> None:
    if part.name in form.fields:
        detail = f"The form has the field `{part.name}` twice: send it once."
        raise BadRequest(detail, param=part.name)
    room = MAX_FIELDS_BYTES - sum(len(value) for value in form.fields.values())
    content = bytearray()
    async for chunk in parts.content():
        content += chunk
        if len(content) > min(room, MAX_FIELD_BYTES):
            detail = f"The field `{part.name}` is too long: {MAX_FIELD_BYTES} bytes at the most."
            raise TooLarge(detail, param=part.name, extra={"limit": MAX_FIELD_BYTES})
    try:
        form.fields[part.name] = content.decode()
    except UnicodeDecodeError as error:
        detail = f"The field `{part.name}` is not UTF-8 text."
        raise BadRequest(detail, param=part.name) from error


async def _add_file(
    form: Form, part: _Part, parts: "_Parts", blobs: BlobStore, max_bytes: int
) -> None:
    if part.name != "file" or form.file is not None:
        detail = "The form must have one file, in a part called `file`."
        raise BadRequest(detail, param=part.name)
    key = new_key(FOLDER)
    counter = _LineCounter()
    size, sha256 = await blobs.put_stream(key, counter.through(parts.content()), max_bytes)
    filename = _clean(part.filename or "")
    form.file = ReceivedFile(key, filename, part.content_type, size, sha256, counter.lines)


class _LineCounter:
    def __init__(self) -> None:
        self._breaks = 0
        self._last = b"\n"

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._breaks += chunk.count(b"\n")
            self._last = chunk[-1:] or self._last
            yield chunk

    @property
    def lines(self) -> int:
        # The last line may end without a break.
        return self._breaks + (self._last != b"\n")


def _clean(filename: str) -> str:
    # Some clients send the whole path of their machine.
    name = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(each for each in name if each.isprintable()).strip()
    return name[-MAX_FILENAME:] or "upload"


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        detail = "Send the file as multipart/form-data with a boundary (with curl: -F file=@name)."
        raise BadRequest(detail, code="unsupported_content_type", param="Content-Type")
    return boundary


class _Mark(Enum):
    PART_END = auto()
    FORM_END = auto()


class _Parts:
    """A push parser turned round: parts are pulled, and no more is read than was asked for."""

    def __init__(self, request: Request, boundary: bytes) -> None:
        self._stream = request.stream()
        self._events: deque[_Part | bytes | _Mark] = deque()
        self._heads: dict[bytes, bytes] = {}
        self._name = self._value = b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._heads.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_data,
                    "on_part_end": lambda: self._events.append(_Mark.PART_END),
                    "on_end": lambda: self._events.append(_Mark.FORM_END),
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from error

    async def read(self) -> AsyncIterator[_Part]:
        """Yield the heads of the parts; the content of each must be read before the next one."""
        count = 0
        while (event := await self._next()) is not _Mark.FORM_END:
            if not isinstance(event, _Part):
                continue
            count += 1
            if count > MAX_PARTS:
                detail = f"The form has more than {MAX_PARTS} parts."
                raise BadRequest(detail)
            yield event

    async def content(self) -> AsyncIterator[bytes]:
        """Yield the content of the part whose head came last."""
        while (event := await self._next()) is not _Mark.PART_END:
            if not isinstance(event, bytes):
                raise _malformed("a part does not end")
            yield event

    async def _next(self) -> "_Part | bytes | _Mark":
        while not self._events:
            chunk = await anext(self._stream, b"")
            if not chunk:
                raise _malformed("it ends in the middle")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _malformed(str(error)) from error
        return self._events.popleft()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._heads[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        disposition = self._heads.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        name, filename = options.get(b"name"), options.get(b"filename")
        if name is None:
            raise _malformed("a part has no name")
        part = _Part(
            _text(name)[:200],
            None if filename is None else _text(filename),
            _media_type(self._heads.get(b"content-type", b"")),
        )
        self._events.append(part)

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(data[start:end])


def _media_type(raw: bytes) -> str | None:
    kind = raw.partition(b";")[0].strip().lower()
    return kind.decode() if _MEDIA_TYPE.fullmatch(kind) else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _malformed(reason: str) -> BadRequest:
    detail = f"The form cannot be read: {reason[:200]}."
    return BadRequest(detail, code="invalid_multipart")
