"""Where Azure and Vertex stand in the fake provider: who comes by a wrong path, query or key is turned away.

Azure: `/openai/deployments/{deployment}/…?api-version=` and `/openai/v1/…`, with `api-key`.
Vertex: `/v1/projects/{PROJECT}/locations/{LOCATION}/publishers/google/models/{model}:…`, with a token.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Headers = Mapping[str, str]
Query = Mapping[str, list[str]]

VERSIONS = frozenset({"2024-06-01", "2024-10-21", "2025-04-01-preview"})
NEWER_VERSIONS = frozenset({"v1", "latest", "preview"})
PROJECT, LOCATION = "fake-project-7", "europe-west4"
TOKEN = "ya29."
"""What an access token of Google's begins with."""
BY_DEPLOYMENT = re.compile(
    r"^/openai/deployments/[^/]+/(?:chat/completions|completions|embeddings)$"
)
BY_MODEL = re.compile(
    r"^/openai/v1/(?:chat/completions|completions|embeddings|responses(?:/input_tokens)?)$"
)
ACTS = "generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents|predict"
OF_VERTEX = re.compile(
    rf"^/v1/projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/"
    rf"(?:publishers/google/models/[^/:]+|endpoints/\d+):(?P<act>{ACTS})$"
)


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """An answer before a call is even one."""

    status: int
    body: dict[str, Any]


def turned_away(target: str, headers: Headers) -> TurnedAway | None:
    """Return why a POST is not let in; None: it may come, or wants neither of the two."""
    path, _, rest = target.partition("?")
    query = parse_qs(rest, keep_blank_values=True)
    if path.startswith("/openai/"):
        return _by_azure(path, query, headers)
    if "/projects" in path or "/publishers" in path:
        return _by_vertex(path, query, headers)
    if path.endswith(":streamGenerateContent") and query.get("alt") != ["sse"]:
        return _google(400, "INVALID_ARGUMENT", "this fake streams nothing but `alt=sse`")
    return None


def _by_azure(path: str, query: Query, headers: Headers) -> TurnedAway | None:
    versions = query.get("api-version", [])
    if "authorization" in headers or len(headers.get("api-key", "")) < 1:
        message = "Access denied due to invalid subscription key or wrong API endpoint."
        return TurnedAway(401, {"error": {"code": "401", "message": message}})
    if BY_MODEL.match(path):
        if {*query} - {"api-version"} or not {*versions} <= NEWER_VERSIONS:
            return TurnedAway(400, _azure("BadRequest", "API version not supported"))
        return None
    if not BY_DEPLOYMENT.match(path) or len(versions) != 1 or versions[0] not in VERSIONS:
        return TurnedAway(404, _azure("404", "Resource not found"))
    return None


def _by_vertex(path: str, query: Query, headers: Headers) -> TurnedAway | None:
    found = OF_VERTEX.match(path)
    if found is None:
        return TurnedAway(404, {"error": {"code": 404, "message": f"{path} was not found"}})
    if not headers.get("authorization", "").startswith(f"Bearer {TOKEN}"):
        message = "Request is missing required authentication credential."
        return _google(401, "UNAUTHENTICATED", message)
    if "x-goog-api-key" in headers or "key" in query:
        message = "API keys are not supported by this API. Expected OAuth2 access token."
        return _google(401, "UNAUTHENTICATED", message)
    if (found["project"], found["location"]) != (PROJECT, LOCATION):
        message = f"Permission denied on resource project {found['project']}."
        return _google(403, "PERMISSION_DENIED", message)
    streams = found["act"] == "streamGenerateContent"
    if dict(query) != ({"alt": ["sse"]} if streams else {}):
        message = f'Invalid query: {sorted(query)} at "{found["act"]}"'
        return _google(400, "INVALID_ARGUMENT", message)
    return None


def _azure(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _google(status: int, name: str, message: str) -> TurnedAway:
    return TurnedAway(status, {"error": {"code": status, "message": message, "status": name}})
