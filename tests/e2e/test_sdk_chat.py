"""Chat completions by the official SDK, unchanged, through the queue: whole, streamed, structured."""

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import INPUT_USD, MODEL, OUTPUT_USD
from tests.e2e.sdk import Sdk
from tests.fakes.upstream_client import Upstream, rule
from tests.integration.cli.processes import await_that

pytestmark = pytest.mark.timeout(300)

TOOL = {
    "type": "function",
    "function": {
        "name": "find_invoice",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "integer"}},
            "required": ["number"],
        },
    },
}
WITH_USAGE = {"include_usage": True}


def asked(text: str, **more: object) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}


def job_of(http: httpx.Client, headers: dict[str, str]) -> Any:
    return http.get(f"/v1/jobs/{headers['penstock-job-id']}").raise_for_status().json()


def text_of(chunks: list[dict[str, Any]]) -> str:
    parts = (chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"])
    return "".join(part or "" for part in parts)


def test_a_completion(sdk: Sdk, upstream: Upstream) -> None:
    text = f"one whole answer for {sdk.name}"  # The one provider also hears every other test.
    said = sdk.do("chat", **asked(text, temperature=0, seed=7))

    assert said["choices"][0]["message"]["content"] == f"echo: {text}"
    assert said["choices"][0]["finish_reason"] == "stop"
    assert said["object"] == "chat.completion"
    assert said["model"] == MODEL
    assert said["usage"]["total_tokens"] > 0
    assert said["request_id"].startswith("req_")
    (call,) = upstream.calls(marker=text)
    assert call["usage"]["total_tokens"] == said["usage"]["total_tokens"]


def test_what_comes_with_it(sdk: Sdk, upstream: Upstream, http: httpx.Client) -> None:
    said = sdk.do("chat_raw", **asked(f"headers {sdk.name}"))

    headers = said["headers"]
    assert said["request_id"] == headers["x-request-id"]
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["x-ratelimit-limit-requests"] == "6000"
    assert headers["x-ratelimit-limit-tokens"] == "10000000"
    assert job_of(http, headers)["status"] == "completed"


def test_another_key_and_the_other_prefix(sdk: Sdk, upstream: Upstream, http: httpx.Client) -> None:
    made = http.post("/v1/keys", json={"name": "sdk", "role": "member"}).raise_for_status().json()

    options = {"api_key": made["key"], "base_url": f"{http.base_url}/openai/v1"}
    said = sdk.do("chat", _options=options, **asked("the other way"))

    assert said["choices"][0]["message"]["content"] == "echo: the other way"


@pytest.mark.parametrize("options", [{}, {"stream_options": WITH_USAGE}], ids=["", "usage"])
def test_a_stream(
    sdk: Sdk, upstream: Upstream, http: httpx.Client, options: dict[str, object]
) -> None:
    upstream.script(rule(chunk_delay_ms=5))
    said = sdk.do("stream", **asked("tell me of rivers and dams", **options))

    chunks = said["chunks"]
    assert said["raised"] is None
    assert text_of(chunks) == "echo: tell me of rivers and dams"
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {
        (chunks[0]["id"], chunks[0]["created"], MODEL)
    }
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    ends = [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]]
    assert ends[-1] == "stop"
    assert set(ends[:-1]) == {None}
    assert len(ends) > 4
    usages = [chunk["usage"] for chunk in chunks if chunk["usage"] is not None]
    assert len(usages) == len([chunk for chunk in chunks if not chunk["choices"]])
    job = job_of(http, said["headers"])
    assert job["status"] == "completed"
    if options:
        assert chunks[-1]["usage"] == usages[0]
        assert usages[0]["prompt_tokens"] == job["usage"]["input_tokens"]
    else:
        assert usages == []
    assert float(job["cost_usd"]) > 0
    assert job["attempts"][0]["first_token_ms"] is not None


def test_the_helper_for_streams(sdk: Sdk, upstream: Upstream) -> None:
    said = sdk.do("stream_helper", **asked("put it together", stream_options=WITH_USAGE))

    completion = said["completion"]
    assert completion["choices"][0]["message"]["content"] == "echo: put it together"
    assert completion["usage"]["total_tokens"] > 0
    assert {"chunk", "content.delta", "content.done"} <= set(said["events"])


def test_tools(sdk: Sdk, upstream: Upstream) -> None:
    tools = {"tools": [TOOL], "tool_choice": "required"}
    said = sdk.do("chat", **asked("which invoice?", **tools))
    streamed = sdk.do("stream_helper", **asked("which invoice?", **tools))["completion"]

    for each in (said, streamed):
        choice = each["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        (call,) = choice["message"]["tool_calls"]
        assert call["id"] == "call_fake"
        assert call["function"]["name"] == "find_invoice"
        assert call["function"]["arguments"] == '{"number":1}'

    answer = {"role": "tool", "tool_call_id": "call_fake", "content": "INV-1 over 12 EUR"}
    thread = [
        *asked("which invoice?")["messages"],
        {"role": "assistant", "tool_calls": said["choices"][0]["message"]["tool_calls"]},
        answer,
    ]
    after = sdk.do("chat", model=MODEL, messages=thread, tools=[TOOL])
    assert after["choices"][0]["message"]["content"] == "echo: which invoice?"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_structured_output(sdk: Sdk, upstream: Upstream, *, streamed: bool) -> None:
    said = sdk.do("parse", streamed=streamed, **asked("an invoice"))

    assert said == {
        "class": "Invoice",
        "parsed": {"sender": "text", "total": 1.5, "paid": True},
    }


def test_a_failure_in_the_middle_is_an_api_error(
    sdk: Sdk, upstream: Upstream, http: httpx.Client
) -> None:
    upstream.script(rule("error_mid_stream", times=1), rule("gate"))
    said = sdk.do("stream", **asked("a story that is long enough to be cut in its middle"))

    assert "APIError" in said["raised"]["classes"]
    assert text_of(said["chunks"]) != ""
    assert said["raised"]["code"] == "stream_broken"
    assert said["raised"]["type"] == "server_error"
    await_that(lambda: job_of(http, said["headers"])["status"] == "cancelled")
    job = job_of(http, said["headers"])
    assert job["attempts"][0]["possibly_billed"] is True
    assert float(job["cost_usd"]) > 0


@pytest.mark.parametrize("policy", ["cancel", "continue"])
def test_who_leaves_in_the_middle(
    sdk: Sdk, upstream: Upstream, http: httpx.Client, policy: str
) -> None:
    text = "word " * 60
    upstream.script(rule(content=text, chunk_delay_ms=40))
    headers = {} if policy == "cancel" else {"Penstock-On-Disconnect": policy}
    said = sdk.do("leave", after=3, **asked(f"go on and on {sdk.name}", extra_headers=headers))

    assert len(said["texts"]) == 3
    ended = "cancelled" if policy == "cancel" else "completed"
    await_that(lambda: job_of(http, said["headers"])["status"] == ended)
    job = job_of(http, said["headers"])
    usage = job["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    cost = (usage["input_tokens"] * INPUT_USD + usage["output_tokens"] * OUTPUT_USD) / 1e6
    assert float(job["cost_usd"]) == pytest.approx(cost)
    (call,) = upstream.calls(marker=f"go on and on {sdk.name}")[-1:]
    assert call["client_gone"] is (policy == "cancel")
