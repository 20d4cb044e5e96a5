"""The client's JSON schema, and whether an answer fits it. Pure; a schema is not to be trusted."""

from collections.abc import Iterable, Mapping
from typing import NoReturn

import jsonschema_rs
import orjson
from pydantic import JsonValue

from shared.documents.schema_cost import SchemaRefError, visits
from shared.inference.schema_patterns import MAX_STEPS, MAX_WORK, steps_of, work_of

MAX_SCHEMA_BYTES = 100_000
MAX_SCHEMA_DEPTH = 40
MAX_VISITS = 100_000
USUAL_ANSWER_DEPTH = 6
MAX_ANSWER_DEPTH = 40
MAX_PROBLEMS = 20
MAX_PROBLEM_CHARS = 300
Schema = Mapping[str, JsonValue]


class SchemaError(Exception):
    """The schema itself is wrong: `pointer` (RFC 6901) says where, the message what."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


def check_schema(schema: JsonValue) -> None:
    """Raise SchemaError unless `schema` is an object that is valid JSON Schema 2020-12 and tame.

    Tame: at most 100,000 bytes, 40 levels deep, references only within itself, and not such that
    it would be checked against the same value thousands of times; patterns of 10,000 steps in all.
    """
    if not isinstance(schema, dict):
        raise SchemaError("The schema must be a JSON object.")
    _check_size(schema)
    _check_references(schema)
    _check_patterns(schema)
    try:
        _compile(schema)
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_short(error.message), _pointer(error.instance_path)) from error
    except Exception as error:  # the library raises its own kinds for references and patterns
        raise SchemaError(_short(str(error))) from error


def problems(schema: Schema, answer: JsonValue) -> list[str]:
    """Return what is wrong with `answer`, at most 20 short sentences; an empty list is a fit.

    `schema` must have passed `check_schema`.
    """
    depth = _depth(answer)
    if not _checkable(schema, depth):
        return [f"the answer is {depth} levels deep, too deep to be checked against this schema"]
    if work_of(dict(schema), answer) > MAX_WORK:
        return ["the answer is too long to be held against the patterns of this schema"]
    found: list[str] = []
    for error in _compile(schema).iter_errors(answer):
        where = _pointer(error.instance_path)
        found.append(_short(f"{where}: {error.message}" if where else error.message))
        if len(found) == MAX_PROBLEMS:
            break
    return found


def is_strict(schema: JsonValue) -> bool:
    """Say whether providers may enforce the schema as it is (OpenAI's `strict`).

    They ask that every object closes itself and requires each of its properties.
    """
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    named = schema.get("properties")
    if schema.get("type") == "object" or isinstance(named, dict):
        names = set(named) if isinstance(named, dict) else set()
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if names != set(required):
            return False
    return all(is_strict(child) for key, child in schema.items() if key not in {"enum", "const"})


def _compile(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        dict(schema), validate_formats=True, retriever=_refuse
    )


def _refuse(uri: str) -> NoReturn:
    """Never fetch: a schema that names an address would have us call it."""
    raise ValueError(f"references to other documents are not followed: {uri}")


def _check_size(schema: dict[str, JsonValue]) -> None:
    if _depth(schema) > MAX_SCHEMA_DEPTH:
        raise SchemaError(f"The schema is nested more than {MAX_SCHEMA_DEPTH} levels deep.")
    size = len(orjson.dumps(schema))
    if size > MAX_SCHEMA_BYTES:
        raise SchemaError(f"The schema has {size:,} bytes; the limit is {MAX_SCHEMA_BYTES:,}.")


def _check_references(schema: Schema) -> None:
    """Before the library sees them: it follows each, and a long chain would exhaust its stack."""
    try:
        paths = visits(schema, USUAL_ANSWER_DEPTH)
    except SchemaRefError as error:
        raise SchemaError(str(error)) from error
    if paths > MAX_VISITS:
        raise SchemaError("The schema refers to itself so often that no answer can be checked.")


def _check_patterns(schema: Schema) -> None:
    """Before the library builds them: that alone may take minutes."""
    steps = steps_of(dict(schema))
    if steps > MAX_STEPS:
        message = (
            f"The patterns of the schema have {steps:,} steps with all counts written out; the limit"
            f" is {MAX_STEPS:,}: count less in them."
        )
        raise SchemaError(message)


def _checkable(schema: Schema, depth: int) -> bool:
    try:
        return depth <= MAX_ANSWER_DEPTH and visits(schema, depth) <= MAX_VISITS
    except SchemaRefError:
        return False


def _depth(value: JsonValue) -> int:
    """Return the levels of nesting, without recursion so that no depth can hurt."""
    deepest, level = 0, [value]
    while level := [child for item in level for child in _children(item)]:
        deepest += 1
    return deepest


def _children(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _pointer(path: list[str | int]) -> str:
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts)


def _short(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= MAX_PROBLEM_CHARS else line[: MAX_PROBLEM_CHARS - 1] + "…"
