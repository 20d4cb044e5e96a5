"""What *translate* says in every dialect: an agent's long conversation, and one plain question."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from shared.inference.conversation import (
    Format,
    Message,
    Part,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from shared.inference.generation import (
    Began,
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationRequest,
    GenerationResponse,
    TextDelta,
    ToolCallBegan,
    ToolCallDelta,
    Tuning,
    Used,
)
from shared.inference.usage import Usage

PARAGRAPH = "The quick brown fox jumps over the lazy dog, again and again. " * 5
ARGUMENTS = '{"query":"the lazy dog","limit":10,"filters":{"colour":"brown","year":2026}}'
SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "What to look for."},
        "limit": {"type": "integer"},
        "filters": {"type": "object", "properties": {"colour": {"type": "string"}}},
    },
    "required": ["query"],
}
TURNS = 8
TOOLS = 6
PIECES = 300
"""Of a streamed text: about 300 tokens."""
USAGE = Usage(2_000, PIECES, 500)


@dataclass(frozen=True, slots=True)
class Sample:
    """A request, its answer, and the same answer in pieces."""

    request: GenerationRequest
    answer: GenerationResponse
    deltas: tuple[Delta, ...]


def _turns() -> Iterator[Message]:
    yield Message(Role.SYSTEM, (Text(PARAGRAPH * 4),))
    for turn in range(TURNS):
        call = ToolCall(f"call_{turn}", f"search_{turn % TOOLS}", ARGUMENTS)
        yield Message(Role.USER, (Text(PARAGRAPH),))
        yield Message(Role.ASSISTANT, (Text(PARAGRAPH), call))
        yield Message(Role.USER, (ToolResult(call.id, (Text(PARAGRAPH),), name=call.name),))
        yield Message(Role.ASSISTANT, (Text(PARAGRAPH),))
    yield Message(Role.USER, (Text(PARAGRAPH),))


def _stream(*, calls: bool) -> Iterator[Delta]:
    yield Began("1", "theirs")
    yield from (TextDelta(0, " again") for _ in range(PIECES))
    if calls:
        yield ToolCallBegan(0, 0, "call_9", "search_1")
        for start in range(0, len(ARGUMENTS), 8):
            yield ToolCallDelta(0, 0, ARGUMENTS[start : start + 8])
    yield Finished(0, Finish.TOOL_CALLS if calls else Finish.STOP)
    yield Used(USAGE)


def _sample(request: GenerationRequest, *, calls: bool) -> Sample:
    parts: tuple[Part, ...] = (Text(" again" * PIECES),)
    if calls:
        parts = (*parts, ToolCall("call_9", "search_1", ARGUMENTS))
    choice = Choice(parts, Finish.TOOL_CALLS if calls else Finish.STOP)
    answer = GenerationResponse("1", "theirs", (choice,), USAGE)
    return Sample(request, answer, tuple(_stream(calls=calls)))


RICH = _sample(
    GenerationRequest(
        tuple(_turns()),
        tools=tuple(Tool(f"search_{n}", PARAGRAPH, SCHEMA) for n in range(TOOLS)),
        format=Format(SCHEMA, "answer"),
        max_tokens=1_000,
        tuning=Tuning(temperature=0.5),
    ),
    calls=True,
)
PLAIN = _sample(
    GenerationRequest((Message(Role.USER, (Text(PARAGRAPH),)),), max_tokens=1_000), calls=False
)
