"""What the sandbox does not do is refused when it is asked for, not by a worker."""

from typing import Any

import pytest

from tests.api.whole_app import WholeApp

TURNS = [{"role": "user", "content": "hi"}]
WRONG = "sandbox/slow-500"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"model": WRONG, "messages": TURNS}),
        ("/v1/responses", {"model": WRONG, "input": "hi"}),
        ("/v1/embeddings", {"model": WRONG, "input": "hi"}),
        ("/anthropic/v1/messages", {"model": WRONG, "messages": TURNS, "max_tokens": 1}),
        ("/mistral/v1/chat/completions", {"model": WRONG, "messages": TURNS}),
        (
            "/v1/jobs",
            {"endpoint": "/v1/chat/completions", "body": {"model": WRONG, "messages": TURNS}},
        ),
    ],
)
async def test_a_name_that_means_nothing_is_refused(
    app: WholeApp, path: str, body: dict[str, Any]
) -> None:
    reply = await app.client.post(path, json=body)

    assert reply.status_code == 404
    assert "does not know what `slow-500` is: write it as in slow-500ms" in reply.text


async def test_lines_of_a_batch_are_told_of_it(app: WholeApp) -> None:
    requests = [
        {
            "custom_id": model,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": model, "messages": TURNS},
        }
        for model in ("sandbox/echo", WRONG)
    ]
    asked = {"endpoint": "/v1/chat/completions", "requests": requests, "dry_run": True}

    reply = await app.client.post("/v1/batches", json=asked)

    (flaw,) = reply.json()["errors"]
    assert flaw["line"] == 2
    assert "does not know what `slow-500` is" in flaw["message"]
