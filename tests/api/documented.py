"""The description of the API, and a client that holds every answer against it."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
from typing_extensions import override

from api import openapi

DOCUMENT = openapi.build()


def documented() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = DOCUMENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = found
    return node


def strict(node: Any) -> Any:
    """Return a schema that allows no member that it does not name, unless it says that it does."""
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {name: strict(each) for name, each in node.items()}
    if "properties" in node:
        closed.setdefault("additionalProperties", False)
    return closed


SCHEMAS = strict(DOCUMENT["components"]["schemas"])


def validator(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    whole = {**strict(schema), "components": {"schemas": SCHEMAS}}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def operation_of(method: str, path: str) -> tuple[str, dict[str, Any]]:
    """Return the documented path that fits; one without parameters goes first, then the longest."""
    for template in sorted(DOCUMENT["paths"], key=lambda each: (each.count("{"), -len(each))):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            return template, DOCUMENT["paths"][template][method.lower()]
    raise AssertionError(f"{path} is not documented")


class Checked(httpx.AsyncBaseTransport):
    """Lets every answer through that is as documented, and remembers which it saw."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.seen: set[tuple[str, str, int]] = set()

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        template, operation = operation_of(request.method, request.url.path)
        self.seen.add((request.method, template, response.status_code))
        check(response, operation)
        return response


def check(response: httpx.Response, operation: dict[str, Any]) -> None:
    said = operation["responses"]
    answer = resolved(said.get(str(response.status_code)) or said.get("default") or {})
    name = f"{operation['operationId']} {response.status_code}"
    assert answer, f"{name} is not documented: {response.text}"
    content = answer.get("content")
    if content is None:
        assert response.content == b"", name
        return
    kind = response.headers["content-type"].partition(";")[0]
    assert kind in content or "*/*" in content, f"{name}: {kind}"
    if kind.endswith(("/json", "+json")) and kind in content:
        validator(content[kind]["schema"]).validate(response.json())
    missing = {"Location"} & set(answer.get("headers", {})) - {
        each.title() for each in response.headers
    }
    assert not missing, name
