"""Whose client is calling, by path and headers."""

import pytest

from api.surfaces import Surface, surface_of

GOOGLE = {"x-goog-api-key": "k"}
MISTRAL = {"user-agent": "mistral-client-python/3.7.0"}
ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/v1/models", {}, Surface.OPENAI),
        ("GET", "/v1/models", GOOGLE, Surface.GEMINI),
        ("GET", "/v1/models", MISTRAL, Surface.MISTRAL),
        ("GET", "/v1/models", ANTHROPIC, Surface.ANTHROPIC),
        ("GET", "/v1/models?key=k", {}, Surface.GEMINI),
        ("GET", "/v1/models?a=1&key=k", {}, Surface.GEMINI),
        ("GET", "/v1/models?monkey=k", {}, Surface.OPENAI),
        ("GET", "/v1/models/ollama/llama3:8b", {}, Surface.OPENAI),
        ("GET", "/v1/models/ollama/llama3:latest", {}, Surface.OPENAI),
        ("POST", "/v1/models/ollama/llama3:latest:generateContent", {}, Surface.GEMINI),
        ("POST", "/v1/models/a:generateContent", MISTRAL, Surface.GEMINI),
        ("GET", "/v1beta/batches", {}, Surface.GEMINI),
        ("POST", "/v1/batches/batch_1:cancel", {}, Surface.GEMINI),
        ("POST", "/v1/batches/batch_1/cancel", {}, Surface.OPENAI),
        ("GET", "/v1/batches/batch_1", GOOGLE, Surface.GEMINI),
        ("GET", "/v1/jobs?key=k", GOOGLE, Surface.OPENAI),
        ("GET", "/gemini/v1/models", {}, Surface.GEMINI),
        ("POST", "/v1/chat/completions", MISTRAL, Surface.MISTRAL),
        ("POST", "/openai/v1/chat/completions", MISTRAL, Surface.OPENAI),
        ("POST", "/mistral/v1/chat/completions", {}, Surface.MISTRAL),
        ("GET", "/v1/batch/jobs", {}, Surface.MISTRAL),
        ("POST", "/v1/messages", {}, Surface.ANTHROPIC),
    ],
)
def test_whose(method: str, path: str, headers: dict[str, str], expected: Surface) -> None:
    bare, _, query = path.partition("?")
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "path": bare, "query_string": query.encode(), "headers": raw}

    assert surface_of({"type": "http", **scope}) is expected
