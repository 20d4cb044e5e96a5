"""Legacy completions on the wire of those who speak them, untranslated."""

import httpx
import orjson
import pytest
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.registry import build_provider
from shared.providers.transport import Http

USAGE: dict[str, JsonValue] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def text(said: str, finish: str | None = None, index: int = 0) -> dict[str, JsonValue]:
    return {"choices": [{"index": index, "text": said, "finish_reason": finish}]}


class Wire:
    """Answers every call with the same, and keeps the request."""

    def __init__(self, *answers: JsonValue) -> None:
        self._answers = answers
        self.request: httpx.Request | None = None
        self.provider = build_provider(
            "openai", http=Http(httpx.MockTransport(self._answer)), api_key="sk"
        )

    async def stream(self, **body: JsonValue) -> list[InferenceChunk]:
        return [each async for each in self.provider.stream(asked(**body))]

    def body(self) -> dict[str, JsonValue]:
        assert self.request is not None
        sent: dict[str, JsonValue] = orjson.loads(self.request.content)
        return sent

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        if not orjson.loads(request.content).get("stream"):
            return httpx.Response(200, json=self._answers[0])
        events = [b"data: " + orjson.dumps(each) + b"\n\n" for each in self._answers]
        head = {"content-type": "text/event-stream"}
        return httpx.Response(200, headers=head, content=b"".join(events))


def asked(**body: JsonValue) -> InferenceRequest:
    return InferenceRequest("babbage", {"prompt": "Once", **body}, Dialect.COMPLETIONS)


async def test_a_completion_goes_through_as_it_is() -> None:
    wire = Wire({**text("upon"), "usage": USAGE})

    answer = await wire.provider.generate(asked(echo=True, suffix="end", best_of=3))

    assert wire.request is not None
    assert str(wire.request.url) == "https://api.openai.com/v1/completions"
    whole = {"prompt": "Once", "model": "babbage", "echo": True, "suffix": "end", "best_of": 3}
    assert wire.body() == whole
    assert answer.usage == Usage(3, 4)


async def test_a_stream_asks_for_its_usage() -> None:
    wire = Wire(text("a"), text("", "stop"), {"choices": [], "usage": USAGE})

    chunks = await wire.stream()

    assert wire.body()["stream_options"] == {"include_usage": True}
    assert [chunk.usage for chunk in chunks] == [None, None, Usage(3, 4)]


@pytest.mark.parametrize(
    ("body", "ends"),
    [
        ({"n": 2}, 2),
        ({"prompt": ["a", "b"]}, 2),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": [1, 2, 3]}, 1),
    ],
)
async def test_a_stream_is_whole_when_every_text_of_every_prompt_has_ended(
    body: dict[str, JsonValue], ends: int
) -> None:
    whole = [text("x", "stop", index) for index in range(ends)]
    assert len(await Wire(*whole).stream(**body)) == ends

    with pytest.raises(errors.ProviderError):
        await Wire(*whole[:-1], text("x", None, ends - 1)).stream(**body)


@pytest.mark.parametrize(
    "answer", [{}, {"choices": []}, {"choices": [1]}, {"error": {"message": "x"}}]
)
async def test_a_success_without_an_answer_is_a_failure(answer: JsonValue) -> None:
    with pytest.raises(errors.ProviderError):
        await Wire(answer).provider.generate(asked())


async def test_details_of_the_usage_are_read() -> None:
    details: dict[str, JsonValue] = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 9},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }

    answer = await Wire({**text("x"), "usage": details}).provider.generate(asked())

    assert answer.usage == Usage(3, 4, 2, 1, 3)
