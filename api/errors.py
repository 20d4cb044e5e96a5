"""Every error as one body: RFC 9457's members and OpenAI's `error` object; or in the caller's dialect."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import orjson
import structlog
from pydantic import JsonValue, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from api.surfaces import BODIES, surface_of
from shared.database import is_unavailable
from shared.errors import BadRequest, PenstockError, Unavailable, openai_error

REQUEST_ID = "penstock.request_id"
CLIENT_CLOSED_REQUEST = 499
MAX_SHOWN = 20
LONGEST_RETRY_AFTER_S = 60
"""Beyond it some clients do not come back at all, and others at once."""
log = structlog.get_logger()

# What OpenAI's SDKs repeat unless they are told not to.
_RETRIED_BY_CLIENTS = {408, 409, 429}
_NEVER_BETTER = {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED}


class _HttpError(PenstockError):
    """An error of the framework: no such path, no such method."""

    def __init__(self, detail: str, status: int) -> None:
        phrase = HTTPStatus(status).phrase
        super().__init__(detail, code=phrase.lower().replace(" ", "_").replace("-", "_"))
        self.status = status
        self.title = phrase


def problem(error: PenstockError, scope: Scope) -> dict[str, Any]:
    """Return the body that tells of an error."""
    return {
        **error.extra,
        "type": f"urn:penstock:error:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": scope.get("path", ""),
        "code": error.code,
        "request_id": scope.get(REQUEST_ID),
        "error": openai_error(error),
    }


def problem_response(
    error: PenstockError, scope: Scope, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response that tells of an error, with what a client needs to go on or to give up."""
    spelled = BODIES.get(surface_of(scope))
    if spelled is not None:
        body = orjson.dumps(spelled(error, scope.get(REQUEST_ID)))
        more = {**(headers or {}), **_headers(error)}
        return Response(body, error.status, more, "application/json")
    return Response(
        orjson.dumps(problem(error, scope)),
        error.status,
        {**(headers or {}), **_headers(error)},
        "application/problem+json",
    )


def _headers(error: PenstockError) -> dict[str, str]:
    headers = {}
    if error.retry_after_s is not None:
        seconds = max(1, math.ceil(error.retry_after_s))
        headers["Retry-After"] = str(min(seconds, LONGEST_RETRY_AFTER_S))
    elif error.status in _RETRIED_BY_CLIENTS or error.status in _NEVER_BETTER:
        headers["x-should-retry"] = "false"
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def invalid_fields(error: ValidationError, *, prefix: str = "") -> BadRequest:
    """Turn pydantic's findings into one sentence, and a list with JSON pointers in `errors`."""
    found = error.errors(include_url=False)
    base: tuple[str, ...] = (prefix,) if prefix else ()
    shown: list[JsonValue] = []
    for each in found[:MAX_SHOWN]:
        location = (*base, *each["loc"])
        shown.append({"detail": _sentence(each, location), "pointer": _pointer(location)})
    first = (*base, *found[0]["loc"])
    detail = _sentence(found[0], first)
    if len(found) > 1:
        detail += f" ({len(found) - 1} more, see `errors`.)"
    missing = found[0]["type"] == "missing"
    return BadRequest(
        detail,
        param=_path(first) or None,
        code="missing_field" if missing else "invalid_field",
        extra={"errors": shown},
    )


def _sentence(finding: Any, location: Sequence[str | int]) -> str:
    name = f"`{_path(location)}`" if location else "The body"
    kind, message, context = finding["type"], finding["msg"], finding.get("ctx", {})
    if kind in _SENTENCES:
        return f"{name} {_SENTENCES[kind]}"
    if kind == "value_error":
        return f"{name} {str(context['error']).removesuffix('.')}."
    if kind in _RULES:
        rule = _RULES[kind].format(**context)
    else:
        words = message[0].lower() + message[1:]
        subject, _, rest = words.partition(" should ")
        rule = f"should {rest}" if subject == "input" else f"is wrong: {words}"
    return f"{name} {rule}, and {_what(finding['input'])} was given."


# Where pydantic speaks of Python, or of its own insides.
_SENTENCES = {
    "missing": "is missing: add it.",
    "extra_forbidden": "is not known here: remove it, or correct its name.",
    "timezone_aware": "has no time zone: write it as 2026-01-01T00:00:00Z.",
}
_RULES = {
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "string_type": "must be a string",
    "string_too_short": "must have a length of at least {min_length}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have a length of at least {min_length}",
    "too_long": "must have a length of at most {max_length}",
}


def _what(value: object) -> str:
    # Numbers help; texts may be secrets or whole documents.
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return str(value).lower()[:40]
    kinds: dict[type, str] = {str: "a string", list: "an array", dict: "an object"}
    name = kinds.get(type(value), "another type")
    return f"{name} of length {len(value)}" if isinstance(value, str | list | dict) else name


def _path(location: Sequence[str | int]) -> str:
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step[:64]}" if path else step[:64]
    return path[:500]


def _pointer(location: Sequence[str | int]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
    return "#" + "".join(f"/{quote(step)}" for step in steps)


async def _on_penstock_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, PenstockError):
        raise error
    if error.__cause__ is not None and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log_unavailable(error.__cause__)
    return problem_response(error, request.scope)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    path, headers = request.url.path[:200], dict(error.headers or {})
    detail = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"There is nothing at {path}: /openapi.json lists the paths."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request.scope))
        detail = f"{request.method} is not possible at {path}; possible: {headers['Allow']}."
    return problem_response(_HttpError(detail, error.status_code), request.scope, headers)


def _methods(scope: Scope) -> list[str]:
    # Each method of a path has a route of its own, and the framework names those of the first.
    matches = ((route, route.matches(scope)[0]) for route in scope["app"].routes)
    found = [route.methods or () for route, match in matches if match is Match.PARTIAL]
    return sorted({method for methods in found for method in methods})


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ValidationError):
        raise error
    return problem_response(invalid_fields(error), request.scope)


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    # Nobody reads it; the access log does.
    return Response(status_code=CLIENT_CLOSED_REQUEST)


HANDLERS = {
    PenstockError: _on_penstock_error,
    HTTPException: _on_http_exception,
    ValidationError: _on_validation_error,
    ClientDisconnect: _on_disconnect,
}
"""What `Starlette(exception_handlers=…)` takes; the rest ends in `unexpected`."""


def unexpected(error: Exception, scope: Scope) -> Response:
    """Answer an error that nobody foresaw: the log has all of it, the client an id to ask about."""
    # A blob that is not there is lost, and no waiting brings it back.
    if is_unavailable(error) and not isinstance(error, FileNotFoundError):
        _log_unavailable(error)
        detail = "The database or the disk is out of reach. Try again."
        away = Unavailable(detail, code="store_unavailable", retry_after_s=2)
        return problem_response(away, scope)
    log.error("http.unexpected_error", exc_info=error)
    request_id = scope.get(REQUEST_ID)
    detail = f"Something went wrong on our side. It was logged under the request id {request_id}."
    return problem_response(PenstockError(detail), scope)


def _log_unavailable(error: BaseException) -> None:
    log.warning("http.part_unavailable", error=f"{type(error).__name__}: {error}"[:500])
