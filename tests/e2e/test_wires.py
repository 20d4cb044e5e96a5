"""The whole service before providers that are strict about their wires: Responses, Azure and Vertex."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.conftest import BY_ADDRESS
from tests.e2e.sdk import Sdk
from tests.e2e.service import Up
from tests.fakes.upstream_client import Upstream

pytestmark = pytest.mark.timeout(300)

SPEAKING = ["openai-3-responses", "anthropic-2", "google-genai-3"]


@pytest.fixture(scope="module", params=SPEAKING)
def client(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """A client of each dialect."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        yield running


def events_of(raw: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith("data: ")]
    return [orjson.loads(line) for line in lines if line != "[DONE]"]


def test_a_response_is_asked_of_the_responses_api(client: Sdk, upstream: Upstream) -> None:
    text = f"asked natively by {client.name}"

    said = client.do("say", model="responses-any", text=text)
    streamed = client.do("stream", model="responses-any", text=text)

    assert said["text"] == "".join(streamed["texts"]) == f"echo: {text}"
    assert streamed["raised"] is None
    whole, stream = upstream.calls(marker=text)
    assert [call["path"] for call in (whole, stream)] == ["/v1/responses"] * 2
    assert (whole["stream"], stream["stream"]) == (False, True)
    assert {whole["status"], stream["status"]} == {200}
    usage = [whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]]
    assert said["usage"] == streamed["usage"] == usage


def test_a_stream_in_the_same_dialect_goes_through_as_it_is(
    http: httpx.Client, upstream: Upstream
) -> None:
    asked = {"model": "responses-any", "input": "passed through", "future": {"deep": [1]}}
    reply = http.post("/v1/responses", json={**asked, "stream": True})

    events = events_of(reply.text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = list(dict.fromkeys(event["type"] for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    # What only this provider says is still there; the id is ours, under which it can be asked for.
    assert all("obfuscation" in each for each in events if each["type"].endswith("text.delta"))
    ids = {event["response"]["id"] for event in events if "response" in event}
    (identity,) = ids
    stored = http.get(f"/v1/responses/{identity}").raise_for_status().json()
    assert stored["output"] == events[-1]["response"]["output"]
    (call,) = upstream.calls(marker="passed through")
    assert call["status"] == 200


def test_a_conversation_with_a_call_goes_on_where_nothing_is_stored(
    http: httpx.Client, upstream: Upstream
) -> None:
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
    asked = {"model": "responses-any", "tools": [tool], "reasoning": {"effort": "low"}}
    first = http.post(
        "/v1/responses", json={**asked, "input": "which one?", "tool_choice": "required"}
    ).json()
    thought, call = first["output"]
    assert (thought["type"], call["type"]) == ("reasoning", "function_call")

    answered = {"type": "function_call_output", "call_id": call["call_id"], "output": "paid"}
    items = [answered, {"role": "user", "content": "and then, natively?"}]
    again = {**asked, "input": items, "previous_response_id": first["id"]}
    last = http.post("/v1/responses", json=again)

    assert last.status_code == 200, last.text
    assert last.json()["output"][-1]["content"][0]["text"] == "echo: and then, natively?"


@pytest.mark.parametrize("model", BY_ADDRESS)
def test_who_has_an_address_of_their_own(client: Sdk, model: str, upstream: Upstream) -> None:
    text = f"by address {client.name} {model}"

    said = client.do("say", model=model, text=text)
    streamed = client.do("stream", model=model, text=text)
    used = client.do("use_tool", model=model, text=text, result="it is paid")

    assert said["text"] == "".join(streamed["texts"]) == f"echo: {text}"
    assert (used["name"], used["arguments"]) == ("find_invoice", {"number": 1})
    assert f"then {text}" in used["text"]
    calls = upstream.calls(model=model)
    paths = {call["path"] for call in calls if text in call["marker"]}
    root = upstream.address(BY_ADDRESS[model]).partition(str(upstream.port))[2]
    assert paths
    assert all(path.startswith(f"{root}/") for path in paths)


@pytest.mark.parametrize("model", ["azure-any", "azure-v1-any", "vertex-any"])
def test_vectors_by_address(http: httpx.Client, model: str, upstream: Upstream) -> None:
    reply = http.post("/v1/embeddings", json={"model": model, "input": ["a", "b", "a"]})

    assert reply.status_code == 200, reply.text
    one, other, again = [each["embedding"] for each in reply.json()["data"]]
    assert one == again != other
    assert reply.json()["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_was_left_out_or_changed_is_told(
    http: httpx.Client, upstream: Upstream, *, streamed: bool
) -> None:
    body = {
        "model": "claude-any",
        "messages": [{"role": "user", "content": "a warm answer"}],
        "temperature": 1.5,
        "seed": 7,
        "novel": True,
        "stream": streamed,
    }
    reply = http.post("/v1/chat/completions", json=body)

    assert reply.status_code == 200, reply.text
    told = reply.headers["penstock-dropped"].split(", ")
    assert sorted(told) == ["novel", "seed", "temperature>1"]
    job = http.get(f"/v1/jobs/{reply.headers['penstock-job-id']}").json()
    assert sorted(job["attempts"][0]["dropped"]) == sorted(told)


def test_where_nothing_was_dropped_nothing_is_told(http: httpx.Client, upstream: Upstream) -> None:
    body = {"model": "gpt-any", "messages": [{"role": "user", "content": "as it is"}], "seed": 7}
    for more in ({}, {"stream": True}):
        reply = http.post("/v1/chat/completions", json={**body, **more})

        assert reply.status_code == 200
        assert "penstock-dropped" not in reply.headers
