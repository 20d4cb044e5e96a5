"""Bodies: bounded before they are buffered, strict, and clear about what is wrong."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import orjson
import pytest
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.body import MAX_DEPTH, MAX_VALUES, parse_object, read_model
from shared.errors import PenstockError
from tests.api.small_app import application, client

LIMIT = 2000


class Inner(BaseModel):
    """A part of the model."""

    name: Annotated[str, Field(max_length=5)]


class Shape(BaseModel):
    """Something to fail against."""

    model_config = ConfigDict(extra="forbid")

    count: Annotated[int, Field(ge=1, le=20)]
    inner: list[Inner] = Field(default_factory=list)
    tags: dict[str, str] = Field(default_factory=dict)
    free: JsonValue = None

    @field_validator("tags")
    @classmethod
    def _few(cls, tags: dict[str, str]) -> dict[str, str]:
        if len(tags) > 2:
            message = "has more than 2 tags: keep the 2 that you search by"
            raise ValueError(message)
        return tags


async def echo(request: Request) -> Response:
    shape, raw = await read_model(request, Shape, max_bytes=LIMIT)
    return Response(orjson.dumps({"count": shape.count, "length": len(raw)}))


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client(application([Route("/", echo, methods=["POST"])])) as http:
        yield http


async def test_a_good_body_comes_as_a_model_and_as_bytes(http: httpx.AsyncClient) -> None:
    raw = b'{"count": 3, "free": {"deep": [1, null]}}'

    for headers in ({}, {"content-type": "application/json; charset=utf-8"}):
        answer = await http.post("/", content=raw, headers=headers)
        assert answer.json() == {"count": 3, "length": len(raw)}
    problem = {"content-type": "application/merge-patch+json"}
    assert (await http.post("/", content=raw, headers=problem)).status_code == 200


async def test_an_announced_length_is_refused_before_a_byte_is_read(
    http: httpx.AsyncClient,
) -> None:
    pulled = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal pulled
        pulled += 1
        yield b"x" * (LIMIT + 1)

    answer = await http.post("/", content=body(), headers={"content-length": str(LIMIT + 1)})

    assert answer.status_code == 413
    assert answer.json()["limit"] == LIMIT
    assert "/v1/files" in answer.json()["detail"]
    assert pulled == 0


async def test_an_unannounced_length_is_refused_where_it_is_exceeded(
    http: httpx.AsyncClient,
) -> None:
    pulled = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(1000):
            pulled += 1
            yield b" " * 500

    answer = await http.post("/", content=body())

    assert answer.status_code == 413
    assert pulled == 5


async def test_a_body_of_exactly_the_limit_is_read(http: httpx.AsyncClient) -> None:
    raw = b'{"count":1}'.ljust(LIMIT)

    assert (await http.post("/", content=raw)).status_code == 200
    assert (await http.post("/", content=raw + b" ")).status_code == 413


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", "empty_body", "empty"),
        (b"  ", "empty_body", "empty"),
        (b"{", "invalid_json", "line 1"),
        (b'{"count": NaN}', "invalid_json", "line 1"),
        (b'{"count": Infinity}', "invalid_json", "line 1"),
        (b'{"count": 1e999}', "invalid_json", "infinity"),
        (b'{"count": 1,}', "invalid_json", "line 1"),
        (b'{"free": "\\ud800"}', "invalid_json", "surrogate"),
        (b'{"free": "\xff"}', "invalid_json", "UTF-8"),
        (b"\xef\xbb\xbf{}", "invalid_json", "BOM"),
        (b"[]", "invalid_json", "an array"),
        (b'"text"', "invalid_json", "a string"),
        (b"7", "invalid_json", "a number"),
        (b"null", "invalid_json", "a single value"),
        (b'{"count": 1, "count": 2}', "repeated_name", "`count` stands twice"),
        (b'{"count": 1, "free": [{"a": 1, "a": 1}]}', "repeated_name", "`a` stands twice"),
    ],
)
async def test_what_is_no_json_object_is_refused(
    http: httpx.AsyncClient, raw: bytes, code: str, words: str
) -> None:
    answer = await http.post("/", content=raw)

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_depth_is_bounded(http: httpx.AsyncClient, opening: bytes, closing: bytes) -> None:
    def nested(levels: int) -> bytes:
        inside = opening * (levels - 1) + b"1" + closing * (levels - 1)
        return b'{"count":1,"free":' + inside + b"}"

    assert (await http.post("/", content=nested(MAX_DEPTH))).status_code == 200
    answer = await http.post("/", content=nested(MAX_DEPTH + 1))
    assert answer.status_code == 400
    assert answer.json()["code"] == "nested_too_deeply"
    much_too_deep = b"[" * 1900
    assert (await http.post("/", content=much_too_deep)).status_code == 400


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":[' + b"1," * MAX_VALUES + b"1]}",
        b'{"a":[' + b"[]," * (MAX_VALUES // 2) + b"[]]}",
        b'{"a":[' + b'"\\\\",' * MAX_VALUES + b"1]}",
        b"{" + b",".join(b'"%d":1' % n for n in range(MAX_VALUES + 1)) + b"}",
    ],
    ids=["numbers", "arrays", "texts", "names"],
)
def test_the_number_of_values_is_bounded_before_they_are_made(raw: bytes) -> None:
    with pytest.raises(PenstockError) as raised:
        parse_object(raw)

    assert (raised.value.status, raised.value.code) == (413, "too_many_values")
    assert raised.value.extra == {"limit": MAX_VALUES}


@pytest.mark.parametrize("text", [",[{" * MAX_VALUES, '\\",' * MAX_VALUES, '"[' * MAX_VALUES])
def test_marks_inside_of_texts_are_no_values(text: str) -> None:
    assert parse_object(orjson.dumps({"a": text})) == {"a": text}


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain"},
        {"content-encoding": "gzip"},
    ],
)
async def test_another_kind_of_body_is_refused_with_advice(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await http.post("/", content=b'{"count": 1}', headers=headers)

    assert answer.status_code == 400
    assert next(iter(headers.values())) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "param", "pointer", "words"),
    [
        ({}, "count", "#/count", "`count` is missing: add it."),
        ({"count": 21}, "count", "#/count", "less than or equal to 20, and 21 was given"),
        ({"count": "x"}, "count", "#/count", "a string of length 1 was given"),
        ({"count": None}, "count", "#/count", "and null was given"),
        ({"count": 1, "cuont": 2}, "cuont", "#/cuont", "remove it"),
        (
            {"count": 1, "inner": [{"name": "a"}, {"name": "too long"}]},
            "inner[1].name",
            "#/inner/1/name",
            "at most 5 characters",
        ),
        ({"count": 1, "inner": 7}, "inner", "#/inner", "must be an array, and 7 was given"),
        ({"count": 1, "tags": {"a/b~c d": 1}}, "tags.a/b~c d", "#/tags/a~1b~0c%20d", "string"),
        (
            {"count": 1, "tags": {"a": "", "b": "", "c": ""}},
            "tags",
            "#/tags",
            "`tags` has more than 2 tags: keep the 2 that you search by.",
        ),
    ],
)
async def test_a_field_is_named_with_its_limit(
    http: httpx.AsyncClient, body: dict[str, Any], param: str, pointer: str, words: str
) -> None:
    answer = (await http.post("/", json=body)).json()

    assert answer["status"] == 400
    assert answer["error"]["param"] == param
    assert words in answer["detail"]
    assert answer["errors"][0]["pointer"] == pointer
    assert answer["errors"][0]["detail"] in answer["detail"]


async def test_several_problems_are_listed_and_values_stay_private(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/", json={"count": "hunter2", "inner": [{}] * 60})

    assert len(answer.json()["errors"]) == 20
    assert "(60 more, see `errors`.)" in answer.json()["detail"]
    assert "hunter2" not in answer.text
