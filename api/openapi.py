"""`GET /openapi.json`: built once, from the models that check the requests and a table of operations."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.openapi_models import Problem
from api.openapi_operations import ALL, UNDER
from api.openapi_parts import (
    ERRORS,
    FORM,
    HEADERS,
    PARAMETERS,
    SECURITY_SCHEMES,
    Answer,
    Operation,
    Part,
)

# The version of the contract, not of the software.
VERSION = "1.0.0"
ABOUT = (
    "The durable job layer for LLM calls: accepted work is stored, performed once and kept within"
    " limits."
)
KEYED_ERRORS = (401, 403, 500, 503)
OTHERS = "default"
JSON_PARTS = ("schema", "metadata", "webhook", "output_expires_after")
Schemas = Mapping[Any, Part]


async def document(_request: Request) -> Response:
    """Return this API's description."""
    return Response(rendered(), media_type="application/json")


@cache
def rendered() -> bytes:
    """Return the document as JSON."""
    return orjson.dumps(build())


def build() -> dict[str, Any]:
    """Build the document."""
    schemas, definitions = models_json_schema(
        sorted(set(_models()), key=lambda pair: pair[0].__name__),
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for operation in ALL:
        row = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = row
    return {
        "openapi": "3.1.0",
        "info": {"title": "Penstock", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SECURITY_SCHEMES],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": {str(status): _problem(text, schemas) for status, text in ERRORS.items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _models() -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    yield (Problem, "serialization")
    for operation in ALL:
        for model in operation.bodies.values():
            yield (model, "validation")
        for answer in operation.answers.values():
            if answer.model is not None:
                yield (answer.model, "serialization")


def _operation(operation: Operation, schemas: Schemas) -> Part:
    responses = {status: _answer(each, schemas) for status, each in operation.answers.items()}
    keyed = operation.permission is not None
    errors = sorted({*operation.errors, *(KEYED_ERRORS if keyed else ())})
    for status in errors:
        responses.setdefault(str(status), _error(operation, status, schemas))
    row: Part = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": responses,
    }
    if operation.permission is None:
        row["security"] = []
    else:
        row["description"] = f"Needs a key with the permission `{operation.permission}`."
    if prefixes := [each for each, names in UNDER.items() if operation.name in names]:
        row["servers"] = [{"url": url} for url in ("/", *prefixes)]
    if operation.parameters:
        names = operation.parameters
        row["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    if operation.bodies:
        content = {kind: _body(operation, kind, schemas) for kind in operation.bodies}
        row["requestBody"] = {"required": True, "content": content}
    return row


def _body(operation: Operation, kind: str, schemas: Schemas) -> Part:
    model = operation.bodies[kind]
    body: Part = {"schema": schemas[model, "validation"]}
    if kind == FORM:
        names = {each.alias or name for name, each in model.model_fields.items()}
        parts = [name for name in JSON_PARTS if name in names]
        if parts:
            body["encoding"] = {name: {"contentType": "application/json"} for name in parts}
    elif operation.example is not None:
        body["example"] = operation.example
    return body


def _answer(answer: Answer, schemas: Schemas) -> Part:
    row: Part = {"description": answer.text}
    if answer.headers:
        row["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in answer.headers}
    if answer.media_type is not None:
        schema = {} if answer.model is None else schemas[answer.model, "serialization"]
        row["content"] = {answer.media_type: {"schema": schema}}
    return row


def _error(operation: Operation, status: int, schemas: Schemas) -> Part:
    if OTHERS not in operation.answers:
        return {"$ref": f"#/components/responses/{status}"}
    # A provider's answer may have any status: its media type tells it from ours.
    ours, theirs = _problem(ERRORS[status], schemas), _answer(operation.answers[OTHERS], schemas)
    text = f"{ours['description']} Or, as JSON: {theirs['description']}"
    return {"description": text, "content": {**ours["content"], **theirs["content"]}}


def _problem(text: str, schemas: Schemas) -> Part:
    schema = schemas[Problem, "serialization"]
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


routes = [Route("/openapi.json", document, methods=["GET"])]
