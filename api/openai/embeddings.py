"""`POST /v1/embeddings`: vectors now, in the encoding that was asked for."""

import base64
import re
import struct
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from api.direct.serve import Body, serve
from shared.jobs.endpoints import Endpoint

FIRST = re.compile(rb'"embedding"\s*:\s*(["\[])')
FLOAT_BYTES = 4


async def create(request: Request) -> ASGIApp:
    """Store a job, stay for its end, and answer with the vectors."""
    return await serve(request, Endpoint.EMBEDDINGS, finish=in_encoding)


def in_encoding(answer: bytes, asked: Body) -> bytes:
    """Return an answer with its vectors as `encoding_format` says: `base64`, or `float` lists.

    Not every provider knows the field, and OpenAI's own clients ask for base64 unless told not to;
    one of them silently makes empty vectors of anything else.
    """
    found = FIRST.search(answer)
    packed = asked.get("encoding_format") == "base64"
    if found is None or (found.group(1) == b'"') == packed:
        return answer
    value = orjson.loads(answer)
    convert: Callable[[Any], Any] = _pack if packed else _unpack
    for each in value["data"]:
        each["embedding"] = convert(each["embedding"])
    return orjson.dumps(value)


def _pack(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _unpack(text: str) -> list[float]:
    raw = base64.b64decode(text)
    return list(struct.unpack(f"<{len(raw) // FLOAT_BYTES}f", raw))


routes = [Route("/v1/embeddings", create, methods=["POST"])]
