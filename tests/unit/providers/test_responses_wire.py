"""The Responses API on the wire of a provider that speaks it: what is sent, and what is taken for an answer."""

from typing import Any

import httpx
import orjson
import pytest

from shared.dialects.responses.thoughts import reasoning_item
from shared.inference.conversation import Thinking
from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http

USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}
ANSWER = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "usage": USAGE}
DELTA = {"type": "response.output_text.delta", "delta": "hi", "sequence_number": 3}


class Upstream:
    """Answers with what it is given, and keeps what it was asked."""

    def __init__(self, reply: bytes | dict[str, Any] = ANSWER, status: int = 200) -> None:
        self.paths: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self._reply, self._status = reply, status

    def provider(self) -> Provider:
        http = Http(httpx.MockTransport(self._answer))
        return build_provider("openai", http=http, api_key="sk-secret", base_url="http://up/v1")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        self.bodies.append(orjson.loads(request.content))
        if isinstance(self._reply, dict):
            return httpx.Response(self._status, json=self._reply)
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(self._status, headers=headers, content=self._reply)


def asking(**body: Any) -> InferenceRequest:
    return InferenceRequest("gpt", {"input": "hi", **body}, Dialect.RESPONSES)


def streamed(*events: dict[str, Any], done: bytes = b"") -> bytes:
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + done


async def heard(upstream: Upstream) -> list[InferenceChunk]:
    return [each async for each in upstream.provider().stream(asking(stream=True))]


async def test_what_we_keep_ourselves_is_not_sent() -> None:
    upstream = Upstream()
    body = {"background": True, "store": True, "stream": False, "metadata": {"a": "b"}}
    asked = asking(**body, penstock_inherited=3, previous_response_id="resp_old", novel=1)
    answer = await upstream.provider().generate(asked)
    assert upstream.paths == ["/v1/responses"]
    sent = {"model": "gpt", "input": "hi", "store": False, "metadata": {"a": "b"}, "novel": 1}
    assert upstream.bodies == [sent]
    assert answer.usage == Usage(9, 5, 4, 0, 2)


async def test_an_earlier_response_whose_items_are_missing_is_refused_before_it_is_sent() -> None:
    upstream = Upstream()
    with pytest.raises(errors.BadRequest, match="previous_response_id"):
        await upstream.provider().generate(asking(previous_response_id="resp_old"))
    assert upstream.paths == []


async def test_a_thought_of_another_providers_is_left_out_and_the_calls_lose_their_names() -> None:
    upstream = Upstream()
    foreign = reasoning_item("rs_1_0", Thinking("hm", "sig", None, Dialect.MESSAGES))
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [foreign, {**call, "penstock_signature": "s"}]
    await upstream.provider().generate(asking(input=items))
    assert upstream.bodies[0]["input"] == [{k: call[k] for k in call if k != "id"}]


async def test_its_own_thoughts_go_back_to_it() -> None:
    upstream = Upstream()
    own = {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "gAAAA"}
    await upstream.provider().generate(asking(input=[own]))
    assert upstream.bodies[0]["input"] == [own]


async def test_a_stream_ends_with_its_last_event_and_its_usage() -> None:
    last = {"type": "response.completed", "response": ANSWER}
    upstream = Upstream(streamed({"type": "keepalive"}, DELTA, last, DELTA))
    chunks = await heard(upstream)
    assert [each.data for each in chunks] == [DELTA, last]
    assert chunks[-1].usage == Usage(9, 5, 4, 0, 2)
    assert upstream.bodies[0]["stream"] is True
    assert "stream_options" not in upstream.bodies[0]


@pytest.mark.parametrize(
    ("tail", "failure"),
    [
        ({"type": "response.in_progress", "response": {"output": []}}, errors.Unavailable),
        ({"type": "response.completed", "response": {"id": "x"}}, errors.Malformed),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, errors.RateLimited),
        (
            {
                "type": "response.failed",
                "response": {"error": {"code": "server_error", "message": "m"}},
            },
            errors.Unavailable,
        ),
        (
            {
                "type": "response.failed",
                "response": {"error": {"code": "invalid_prompt", "message": "m"}},
            },
            errors.BadRequest,
        ),
    ],
)
async def test_a_stream_that_fails_says_how(tail: dict[str, Any], failure: type) -> None:
    with pytest.raises(failure):
        await heard(Upstream(streamed(DELTA, tail)))


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"object": "response", "status": "completed"}, errors.Malformed),
        ({**ANSWER, "status": "in_progress"}, errors.Malformed),
        (
            {**ANSWER, "status": "failed", "error": {"code": "server_error", "message": "m"}},
            errors.Unavailable,
        ),
    ],
)
async def test_a_success_without_an_answer_is_none(answer: dict[str, Any], failure: type) -> None:
    with pytest.raises(failure):
        await Upstream(answer).provider().generate(asking())


async def test_tokens_are_counted_where_the_vendor_counts() -> None:
    upstream = Upstream({"object": "response.input_tokens", "input_tokens": 12})
    assert await upstream.provider().count(asking(temperature=1, instructions="i")) == 12
    assert upstream.paths == ["/v1/responses/input_tokens"]
    assert upstream.bodies == [{"model": "gpt", "input": "hi", "instructions": "i"}]
    assert await Upstream({"error": {}}, status=404).provider().count(asking()) is None
    with pytest.raises(errors.AuthFailed):
        await Upstream({"error": {}}, status=401).provider().count(asking())
