"""Whose SDK is calling, and how it wants to hear of an error. Pure."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

from shared.dialects.errors import anthropic_type, google_status
from shared.errors import PenstockError, of_job


class Surface(StrEnum):
    """A dialect of paths, headers and errors; OPENAI is our own as well."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    MISTRAL = "mistral"


_PREFIX = re.compile(r"^/(openai|anthropic|gemini|mistral)/")
_GOOGLES = re.compile(r"^/v1beta/")
_ACT = re.compile(r"^/v1/models/.+:[A-Za-z]+$|^/v1/batches/[^/]+:[a-z]+$")
_ANTHROPIC = re.compile(r"^/v1/models(/|$)")
_GEMINI = re.compile(r"^/v1(beta)?/(models|batches|files)(/|:|$)")


def surface_of(scope: Scope) -> Surface:
    """Tell by the path's prefix, else by what only one vendor's clients send.

    Anthropic's name themselves by `anthropic-version`, Google's by `x-goog-api-key` or `?key=`,
    Mistral's by their user agent; `/v1/models` and the like are everybody's.
    """
    path = str(scope.get("path", ""))
    if (found := _PREFIX.match(path)) is not None:
        return Surface(found[1])
    headers = Headers(raw=scope.get("headers", []))
    if path.startswith("/v1/messages") or (
        _ANTHROPIC.match(path) and "anthropic-version" in headers
    ):
        return Surface.ANTHROPIC
    # A model's own name may have a colon, but only Google posts to models.
    acts = scope.get("method") == "POST" and _ACT.match(path)
    if acts or _GOOGLES.match(path) or (_GEMINI.match(path) and _shows_googles_key(scope, headers)):
        return Surface.GEMINI
    if path.startswith("/v1/batch/"):
        return Surface.MISTRAL
    by_mistral = headers.get("user-agent", "").startswith("mistral-client")
    return Surface.MISTRAL if by_mistral else Surface.OPENAI


def _shows_googles_key(scope: Scope, headers: Headers) -> bool:
    in_query = re.search(rb"(?:^|&)key=", scope.get("query_string", b""))
    return "x-goog-api-key" in headers or in_query is not None


def anthropic_error(error: PenstockError, request_id: str | None) -> dict[str, Any]:
    """Return Anthropic's error body; our own code, field and numbers are in `details`."""
    details: dict[str, Any] = {**error.extra, "error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    told = {"type": anthropic_type(error.status), "message": error.detail, "details": details}
    return {"type": "error", "error": told, "request_id": request_id}


def gemini_error(error: PenstockError, _request_id: str | None) -> dict[str, Any]:
    """Return Google's error body; how long to wait is in its details."""
    status = google_status(error.status)
    domain: dict[str, Any] = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": "penstock",
    }
    if known := {name: str(value) for name, value in of_job(error).items() if value is not None}:
        domain["metadata"] = known
    details: list[dict[str, Any]] = [domain]
    if error.retry_after_s is not None:
        retry = "type.googleapis.com/google.rpc.RetryInfo"
        details.append({"@type": retry, "retryDelay": f"{error.retry_after_s:g}s"})
    told = {"code": error.status, "message": error.detail, "status": status, "details": details}
    return {"error": told}


def mistral_error(error: PenstockError, request_id: str | None) -> dict[str, Any]:
    """Return Mistral's error body; a 422 is the list that its SDK expects there."""
    if error.status == 422:  # noqa: PLR2004 - the one status with a form of its own
        where = ["body", *([error.param] if error.param else [])]
        return {"detail": [{"loc": where, "msg": error.detail, "type": error.code}]}
    told = {"object": "error", "message": error.detail, "type": error.code, "param": error.param}
    return {**told, "code": str(error.status), "request_id": request_id, **of_job(error)}


BODIES: Mapping[Surface, Callable[[PenstockError, str | None], dict[str, Any]]] = {
    Surface.ANTHROPIC: anthropic_error,
    Surface.GEMINI: gemini_error,
    Surface.MISTRAL: mistral_error,
}
"""How the others spell an error; ours is in `api/errors.py`."""
