"""Reading a JSON body: bounded before it is buffered, strict, and clear about what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, JsonValue, ValidationError
from starlette.requests import Request

from api.errors import invalid_fields
from shared.errors import BadRequest, TooLarge

Model = TypeVar("Model", bound=BaseModel)
MAX_DEPTH = 100
MAX_VALUES = 500_000
"""Checking costs time by the number of values, and where they go they take memory."""
IN_PASSING_BYTES = 512 * 1024
"""A larger body is parsed in a thread: it takes longer than others should wait to be served."""


async def read_model(
    request: Request, model: type[Model], *, max_bytes: int
) -> tuple[Model, bytes]:
    """Return the body as a model, and the bytes as they came.

    Raises:
        BadRequest: not a JSON object that fits the model; the message says which field and why.
        TooLarge: more than `max_bytes`.
    """
    value, raw = await read_json(request, max_bytes=max_bytes)
    return fitting(model, value), raw


def fitting(model: type[Model], value: Any) -> Model:
    """Return what was read as a model.

    Raises:
        BadRequest: it does not fit; the message says which field and why.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_fields(error) from error


async def read_json(request: Request, *, max_bytes: int) -> tuple[dict[str, JsonValue], bytes]:
    """Return the body as a JSON object, and the bytes as they came.

    Raises:
        BadRequest: not a JSON object.
        TooLarge: more than `max_bytes`.
    """
    check_headers(request)
    raw = await read_body(request, max_bytes=max_bytes)
    return await parse_aside(raw), raw


async def parse_aside(raw: bytes) -> dict[str, JsonValue]:
    """Do what `parse_object` does, without keeping others waiting for long."""
    if len(raw) > IN_PASSING_BYTES:
        return await asyncio.to_thread(parse_object, raw)
    return parse_object(raw)


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the body, never holding more than `max_bytes` of it.

    Raises:
        TooLarge: the header or the stream says that it is longer.
    """
    pieces = [piece async for piece in body_pieces(request, max_bytes=max_bytes)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def body_pieces(request: Request, *, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, never more than `max_bytes` of it.

    Raises:
        TooLarge: the header or the stream says that it is longer.
    """
    if announced_bytes(request) > max_bytes:
        raise _too_large(max_bytes)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise _too_large(max_bytes)
        yield piece


def announced_bytes(request: Request) -> int:
    """Return what `Content-Length` says, 0 when it says nothing."""
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def parse_object(raw: bytes) -> dict[str, JsonValue]:
    """Parse a JSON object strictly: no NaN, no name twice, no lone surrogates, bounded depth.

    Raises:
        BadRequest: it is not one; the message says where it goes wrong.
        TooLarge: more than `MAX_VALUES` values.
    """
    if not raw.strip():
        detail = "The body is empty: send a JSON object."
        raise BadRequest(detail, code="empty_body")
    _check_count(raw)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        detail = f"The body is not valid JSON: {error}."
        raise BadRequest(detail, code="invalid_json") from error
    if not isinstance(value, dict):
        detail = f"The body must be a JSON object, not {_KINDS.get(type(value), 'a single value')}."
        raise BadRequest(detail, code="invalid_json")
    _check_depth(raw, value)
    _check_names(raw)
    return value


_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number"}


def check_headers(request: Request) -> None:
    """Refuse a body that is not JSON as it is.

    Raises:
        BadRequest: a header says so.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        detail = (
            f"The body is sent as {kind[:100]}: send JSON with `Content-Type: application/json`."
        )
        raise BadRequest(detail, code="unsupported_content_type", param="Content-Type")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        detail = f"`Content-Encoding: {encoding[:40]}` is not understood: send the body as it is."
        raise BadRequest(detail, code="unsupported_content_encoding", param="Content-Encoding")


def _too_large(max_bytes: int) -> TooLarge:
    detail = (
        f"The body is larger than {max_bytes} bytes. Send less in one request, or upload large"
        " content with POST /v1/files."
    )
    return TooLarge(detail, code="body_too_large", extra={"limit": max_bytes})


def _check_count(raw: bytes) -> None:
    # Every value begins a container or stands behind a comma or a bracket: few marks, few values.
    if _marks(raw) <= MAX_VALUES:
        return
    # Long texts are full of commas: only the marks outside of strings count.
    plain = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    strings = plain.count(b'"') // 2
    if strings <= 2 * MAX_VALUES and _marks(b"".join(plain.split(b'"')[::2])) <= MAX_VALUES:
        return
    detail = (
        f"The body has more than {MAX_VALUES} values: split it into several requests, or upload"
        " large content with POST /v1/files."
    )
    raise TooLarge(detail, code="too_many_values", extra={"limit": MAX_VALUES})


def _marks(raw: bytes) -> int:
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _check_depth(raw: bytes, value: dict[str, Any]) -> None:
    # Whatever has few brackets cannot be deep: nearly every body ends here.
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for each in level for child in _children(each)]
        if not level:
            return
    detail = f"The body is nested more than {MAX_DEPTH} levels deep: make it flatter."
    raise BadRequest(detail, code="nested_too_deeply")


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value
    return [each for each in inside if isinstance(each, dict | list)]


class _RepeatedNameError(Exception):
    pass


def _refuse_repeated(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise _RepeatedNameError(name)
        seen.add(name)


# Two readers of one body could take different ones of two equal names; orjson takes the last.
_NAMES = json.JSONDecoder(object_pairs_hook=_refuse_repeated)


def _check_names(raw: bytes) -> None:
    try:
        _NAMES.decode(raw.decode())
    except _RepeatedNameError as error:
        name = str(error)[:64]
        detail = f"The name `{name}` stands twice in one object of the body: remove one of them."
        raise BadRequest(detail, code="repeated_name", param=name) from error
