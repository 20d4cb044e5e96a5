"""A model call in neutral words: what is asked, what came back, and the pieces of a stream. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue

from shared.inference.conversation import Format, Message, Part, Tool, ToolChoice
from shared.inference.dialect import Dialect
from shared.inference.usage import Usage


@dataclass(frozen=True, slots=True)
class Tuning:
    """What only colours an answer: a provider that knows it not leaves it out, and that is told.

    `effort` is how hard to think: `none`, `minimal`, `low`, `medium`, `high` (others go through
    as they are); `thinking_tokens` the budget for it, where a dialect counts instead.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[str, JsonValue] | None = None
    effort: str | None = None
    thinking_tokens: int | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    user: str | None = None
    parallel_tool_calls: bool | None = None


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One question to a model, without its name.

    `max_tokens` None: as the provider likes. `choices` is how many answers. `logprobs` None: none
    wanted; a number: so many alternatives a token (0: only the token's own). `unknown` are keys of
    the client's body that have no place here: they are reported as left out.
    """

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    format: Format | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    logprobs: int | None = None
    tuning: Tuning = field(default_factory=Tuning)
    unknown: tuple[str, ...] = ()


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer. `logprobs` is OpenAI's `{"content": […]}`, which others are mapped to.

    `stop_sequence` is the one that ended it, where the provider tells.
    """

    parts: tuple[Part, ...]
    finish: Finish
    logprobs: Mapping[str, JsonValue] | None = None
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class GenerationResponse:
    """A whole answer; `created_s` is seconds since 1970, 0 where nobody tells."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None
    created_s: int = 0


@dataclass(frozen=True, slots=True)
class Began:
    """The first piece of a stream: who answers; `usage` as far as it is known by then."""

    id: str
    model: str
    created_s: int = 0
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of a text."""

    choice: int
    text: str
    logprobs: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of a thought; `signature` and `redacted` come with its last piece, without text.

    `dialect` says, with them, in which one they mean something.
    """

    choice: int
    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    dialect: Dialect | None = None


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More of a refusal."""

    choice: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallBegan:
    """A tool call; `index` counts the calls of this choice from 0, and its pieces name it."""

    choice: int
    index: int
    id: str
    name: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a call's arguments."""

    choice: int
    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of one choice."""

    choice: int
    finish: Finish
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """The usage so far; the last one of a stream stands."""

    usage: Usage


Delta = (
    Began
    | TextDelta
    | ThinkingDelta
    | RefusalDelta
    | ToolCallBegan
    | ToolCallDelta
    | Finished
    | Used
)
