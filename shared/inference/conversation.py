"""What is said in a model call, whoever says it: messages, their parts, tools. Neutral and pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from shared.inference.dialect import Dialect

JsonObject = dict[str, JsonValue]


class Role(StrEnum):
    """Who speaks. What tools answered stands in messages of USER, as parts."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class MediaKind(StrEnum):
    """What sort of thing is shown to a model."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """Something that is no text: its bytes in base64 (`data`), or where they are.

    Exactly one of `data`, `url` and `file_id` is set; `mime_type` None: not told. `detail` is
    OpenAI's `low`, `high` or `auto`; `name` a file's.
    """

    kind: MediaKind
    mime_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called; `arguments` is JSON as text, empty where there are none.

    `signature` is what its provider wants to see again with it (Gemini's thought signature).
    """

    id: str
    name: str
    arguments: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered. `name` is the tool's, where the dialect tells it."""

    call_id: str
    parts: tuple[Text | Media, ...]
    is_error: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """What a model thought before it spoke.

    `signature` and `redacted` (thoughts in a form that only their provider reads) mean something
    in `dialect` only: elsewhere they are left out.
    """

    text: str
    signature: str | None = None
    redacted: str | None = None
    dialect: Dialect | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A model's words on why it does not answer."""

    text: str


Part = Text | Media | ToolCall | ToolResult | Thinking | Refusal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; `name` tells apart speakers of one role, where a dialect knows such a thing."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may have called; `schema` is a JSON schema, None: no arguments."""

    name: str
    description: str | None = None
    schema: Mapping[str, JsonValue] | None = None
    strict: bool | None = None


class ToolMode(StrEnum):
    """Whether the model must call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`names` limits REQUIRED (or AUTO) to some tools; one name means that one."""

    mode: ToolMode
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """What form the answer must have: any JSON (`schema` None), or what a JSON schema says."""

    schema: Mapping[str, JsonValue] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
