"""What the adapter puts on the wire, vendor by vendor, seen by a transport that records it."""

from collections.abc import Mapping

import httpx
import orjson
import pytest
from pydantic import JsonValue

from shared.dialects.bridge import spoken
from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.vendors import VENDORS, known_vendors
from shared.inference.vendors import Wire as Adapter
from shared.providers import errors
from shared.providers.base import Provider
from shared.providers.registry import NotConfigured, build_provider
from shared.providers.transport import Http

ANSWER = {
    "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
    "data": [{"index": 0, "embedding": [1.0]}],
    "content": [{"type": "text", "text": "hi"}],
    "output": [],
    "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}


class Wire:
    """Answers every call well, and keeps the requests."""

    def __init__(self, status: int = 200, body: bytes | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._status, self._body = status, body
        self.http = Http(httpx.MockTransport(self._answer))

    def body(self) -> dict[str, JsonValue]:
        sent: dict[str, JsonValue] = orjson.loads(self.requests[-1].content)
        return sent

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._body is not None:
            return httpx.Response(self._status, content=self._body)
        if orjson.loads(request.content).get("stream"):
            content = b"data: " + orjson.dumps(CHUNK) + b"\n\ndata: [DONE]\n\n"
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, content=content
            )
        return httpx.Response(self._status, json=ANSWER)


def chat(model: str = "m", /, **body: JsonValue) -> InferenceRequest:
    messages: list[JsonValue] = [{"role": "user", "content": "hello"}]
    return InferenceRequest(model, {"messages": messages, **body})


async def drain(provider: Provider, request: InferenceRequest) -> None:
    async for _ in provider.stream(request):
        pass


async def test_unknown_keys_travel_untouched_and_the_model_is_replaced() -> None:
    wire = Wire()
    provider = build_provider("openai", http=wire.http, api_key="sk")
    strange: dict[str, JsonValue] = {"future_key": {"a": [1, None, "ü"]}, "temperature": 0}

    await provider.generate(chat("gpt-real", model="client-alias", **strange))

    request = wire.requests[0]
    assert str(request.url) == "https://api.openai.com/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk"
    assert wire.body() == {
        "messages": [{"role": "user", "content": "hello"}],
        "model": "gpt-real",
        **strange,
    }


async def test_our_own_keys_and_streaming_stay_out_of_a_whole_call() -> None:
    wire = Wire()
    provider = build_provider("openai", http=wire.http, api_key="sk")

    await provider.generate(
        chat(stream=True, stream_options={"include_usage": True}, penstock={"x": 1}, penstock_y=2)
    )

    assert set(wire.body()) == {"messages", "model"}


async def test_a_stream_always_asks_for_its_usage() -> None:
    wire = Wire()
    provider = build_provider("openai", http=wire.http, api_key="sk")

    await drain(
        provider, chat(stream_options={"include_usage": False, "include_obfuscation": False})
    )

    assert wire.body()["stream"] is True
    assert wire.body()["stream_options"] == {"include_usage": True, "include_obfuscation": False}


async def test_embeddings_have_their_own_path() -> None:
    wire = Wire()
    provider = build_provider("openai", http=wire.http, api_key="sk", base_url="http://h:1/x/v1/")

    await provider.embed(InferenceRequest("e", {"input": "text"}, Dialect.EMBEDDINGS))

    assert str(wire.requests[0].url) == "http://h:1/x/v1/embeddings"
    assert wire.body() == {"input": "text", "model": "e"}


async def test_mistral_speaks_with_its_own_words() -> None:
    wire = Wire()
    provider = build_provider("mistral", http=wire.http, api_key="k")

    await drain(provider, chat(seed=7, max_completion_tokens=9, stream_options={"a": 1}))

    assert {name: value for name, value in wire.body().items() if name != "messages"} == {
        "model": "m",
        "random_seed": 7,
        "max_tokens": 9,
        "stream": True,
    }


async def test_a_renamed_key_does_not_override_the_vendors_own() -> None:
    wire = Wire()
    provider = build_provider("mistral", http=wire.http, api_key="k")

    await provider.generate(chat(seed=7, random_seed=8))

    assert wire.body()["random_seed"] == 8
    assert "seed" not in wire.body()


@pytest.mark.parametrize(
    ("vendor", "told"), [("mistral", {"safe_prompt": True}), ("openai", {}), ("groq", {})]
)
async def test_what_is_for_one_vendor_no_other_hears(vendor: str, told: dict[str, bool]) -> None:
    wire = Wire()
    provider = build_provider(vendor, http=wire.http, api_key="k")

    await provider.generate(chat(penstock_mistral={"safe_prompt": True}))

    assert {name: wire.body()[name] for name in wire.body() if name.endswith("prompt")} == told
    assert not [name for name in wire.body() if name.startswith("penstock")]


async def test_azure_has_the_deployment_in_the_path_and_its_own_header() -> None:
    wire = Wire()
    provider = build_provider(
        "azure", http=wire.http, api_key="k", base_url="https://n.openai.azure.com/openai"
    )

    await provider.generate(chat("my gpt/4"))

    request = wire.requests[0]
    assert request.url.raw_path == (
        b"/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21"
    )
    assert request.headers["api-key"] == "k"
    assert "authorization" not in request.headers


async def test_added_headers_are_sent_and_a_missing_key_is_not() -> None:
    wire = Wire()
    provider = build_provider("ollama", http=wire.http, headers={"x-team": "blue"})

    await provider.generate(chat())

    request = wire.requests[0]
    assert str(request.url) == "http://127.0.0.1:11434/v1/chat/completions"
    assert request.headers["x-team"] == "blue"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [200, 401])
async def test_a_quoted_key_is_hidden(status: int) -> None:
    wire = Wire(status, b'{"error": {"message": "Incorrect API key provided: sk-secret-1"}}')
    provider = build_provider("openai", http=wire.http, api_key="sk-secret-1")

    with pytest.raises(errors.ProviderError) as raised:
        await provider.generate(chat())

    assert "sk-secret-1" not in str(raised.value)
    assert b"sk-secret-1" not in (raised.value.body or b"")
    assert "[key]" in str(raised.value)


async def test_a_whole_answer_to_a_streaming_call_is_malformed() -> None:
    http = Http(httpx.MockTransport(lambda _: httpx.Response(200, json=ANSWER)))
    provider = build_provider("openai", http=http, api_key="sk")

    with pytest.raises(errors.Malformed, match="did not stream"):
        await drain(provider, chat())


EXTRA = [name for name, row in VENDORS.items() if row.wire is Adapter.LITELLM]


@pytest.mark.parametrize("vendor", sorted({*known_vendors()} - {*EXTRA}))
async def test_every_vendor_can_be_built_and_called(vendor: str) -> None:
    provider = build_provider(vendor, http=Wire().http, api_key="key", base_url="https://h/v1")
    dialect = spoken(Dialect.CHAT, provider.dialects)

    answer = await provider.generate(InferenceRequest("m", chat().body, dialect))

    assert provider.name == vendor
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("vendor", "given", "message"),
    [
        ("acme", {}, "no provider is called `acme`"),
        ("openai", {}, "`openai` needs a key"),
        ("azure", {"api_key": "k"}, "give the deployment a `base_url`"),
        ("openai", {"api_key": "k", "base_url": "api.openai.com/v1"}, "not a base URL"),
        ("openai", {"api_key": "k", "base_url": "ftp://h/v1"}, "not a base URL"),
        ("sandbox", {"options": {"latency": 3}}, "no option `latency`"),
        ("sandbox", {"options": {"error_rate": 1.5}}, "between 0 and 1"),
        ("sandbox", {"options": {"rpm": "10"}}, "must be a number"),
    ],
)
def test_a_wrong_deployment_is_told_what_to_change(
    vendor: str, given: Mapping[str, str], message: str
) -> None:
    with pytest.raises(NotConfigured, match=message):
        build_provider(vendor, http=Wire().http, **given)  # type: ignore[arg-type]
