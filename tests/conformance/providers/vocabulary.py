"""How each provider's dialect asks, answers and fails, so that one suite can speak to all of them.

What is asked and what came is said in neutral words: the dialect's own translator spells and reads it.
A dialect joins the suite with a row of `VOCABULARIES`, and a wire in `tests/fakes/upstream_wire.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import orjson
from pydantic import JsonValue

from shared.dialects.registry import translator_of
from shared.inference.conversation import Message, Part, Role, Text, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, Delta, GenerationRequest, GenerationResponse
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.inference.usage import Usage
from tests.fakes.upstream_answers import chat_usage
from tests.fakes.upstream_gemini_wire import gemini_usage
from tests.fakes.upstream_messages_wire import messages_usage
from tests.fakes.upstream_responses_wire import responses_usage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATE = format_datetime(NOW, usegmt=True)
IN_SIX_MINUTES = "2026-01-01T00:06:00Z"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One dialect as one vendor speaks it.

    `marks` are in every whole answer; `too_long` is the body of a 400 for a request with too many
    tokens; `limited` is an error object, in the middle of a stream, that says the limit is reached;
    `limits` are headers: no request left, 12 tokens, and these for six minutes. `ends_by_finish`:
    a stream whose answer has its reason to end is whole.
    """

    vendor: str
    dialect: Dialect
    too_long: JsonValue
    limited: JsonValue
    used: Callable[[Mapping[str, Any]], Usage]
    limits: Mapping[str, str]
    marks: Mapping[str, str]
    ends_by_finish: bool = False
    many_choices: bool = False
    json_mode: bool = False
    key: str = "sk-conformance"

    def ask(
        self, model: str = "echo", text: str = "hello there", *parts: Part, **wanted: Any
    ) -> InferenceRequest:
        """Return a request; `wanted` are fields of a `GenerationRequest`.

        Raises:
            Unsupported: the dialect has no words for it.
        """
        asked = GenerationRequest(
            (
                Message(Role.SYSTEM, (Text("Be brief."),)),
                Message(Role.USER, (*parts, Text(text))),
            )
        )
        written = translator_of(self.dialect).write_request(replace(asked, **wanted))
        return InferenceRequest(model, written.body, self.dialect)

    def read(self, response: InferenceResponse) -> GenerationResponse:
        """Return what a whole answer says."""
        return translator_of(self.dialect).read_answer(orjson.loads(response.body))

    def joined(self, chunks: Iterable[InferenceChunk]) -> GenerationResponse:
        """Return what a stream says, put together."""
        joined = translator_of(self.dialect).joined()
        for chunk in chunks:
            joined.add(chunk.data)
        return translator_of(self.dialect).read_answer(joined.whole())

    def deltas(self, chunks: Iterable[InferenceChunk]) -> list[Delta]:
        """Return what a stream says, piece by piece."""
        decoder = translator_of(self.dialect).decoder()
        return [delta for chunk in chunks for delta in decoder.read(chunk.data)]


def text_of(choice: Choice) -> str:
    """Return the words of an answer."""
    return "".join(part.text for part in choice.parts if isinstance(part, Text))


def calls_of(choice: Choice) -> list[tuple[str, Any]]:
    """Return the calls of an answer: names and arguments."""
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    return [(call.name, orjson.loads(call.arguments)) for call in calls]


def _used_by_chat(body: Mapping[str, Any]) -> Usage:
    said = chat_usage(body)
    return Usage(said["prompt_tokens"], said["completion_tokens"])


def _used_by_messages(body: Mapping[str, Any]) -> Usage:
    said = messages_usage(body)
    return Usage(said["input_tokens"], said["output_tokens"])


def _used_by_gemini(body: Mapping[str, Any]) -> Usage:
    said = gemini_usage(body)
    return Usage(said["promptTokenCount"], said["candidatesTokenCount"])


def _used_by_responses(body: Mapping[str, Any]) -> Usage:
    said = responses_usage(body)
    return Usage(said["input_tokens"], said["output_tokens"])


CHAT = Vocabulary(
    vendor="openai",
    dialect=Dialect.CHAT,
    too_long={"error": {"message": "too long", "code": "context_length_exceeded"}},
    limited={"code": 429},
    used=_used_by_chat,
    limits={
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-remaining-tokens": "12",
        "x-ratelimit-reset-tokens": "6m0s",
    },
    marks={"object": "chat.completion"},
    ends_by_finish=True,
    many_choices=True,
    json_mode=True,
)
MESSAGES = Vocabulary(
    vendor="anthropic",
    dialect=Dialect.MESSAGES,
    too_long={
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "prompt is too long: 209023 tokens > 200000 maximum",
        },
    },
    limited={"type": "rate_limit_error", "message": "slow down"},
    used=_used_by_messages,
    limits={
        "date": DATE,
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-tokens-remaining": "12",
        "anthropic-ratelimit-tokens-reset": IN_SIX_MINUTES,
    },
    marks={"type": "message", "role": "assistant"},
)
GEMINI = Vocabulary(
    vendor="gemini",
    dialect=Dialect.GEMINI,
    too_long={
        "error": {
            "code": 400,
            "message": "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
            "status": "INVALID_ARGUMENT",
        }
    },
    limited={"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"},
    used=_used_by_gemini,
    limits={},
    marks={},
    ends_by_finish=True,
    many_choices=True,
    json_mode=True,
)
RESPONSES = replace(
    CHAT,
    dialect=Dialect.RESPONSES,
    limited={"code": "rate_limit_exceeded", "message": "slow down"},
    used=_used_by_responses,
    marks={"object": "response", "status": "completed"},
    many_choices=False,
)
AZURE = replace(
    CHAT,
    vendor="azure",
    limited={"code": "429", "message": "Requests have exceeded the call rate limit."},
)
VERTEX = replace(GEMINI, vendor="vertex", key="ya29.conformance")
VOCABULARIES: Mapping[str, Vocabulary] = {
    "openai_compatible": CHAT,
    "responses": RESPONSES,
    "anthropic": MESSAGES,
    "gemini": GEMINI,
    "azure": AZURE,
    "azure_v1": replace(CHAT, vendor="azure-v1"),
    "azure_v1_responses": replace(RESPONSES, vendor="azure-v1"),
    "vertex": VERTEX,
}
"""Each against the fake upstream; the sandbox speaks `CHAT` by itself."""
