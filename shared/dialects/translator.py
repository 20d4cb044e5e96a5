"""What each dialect can do: read and write requests, answers and streams, all pure, in neutral words between.

A reader takes what may have come from anyone; a writer makes what its dialect's strictest client takes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.inference.dialect import Dialect
from shared.inference.generation import Delta, GenerationRequest, GenerationResponse

Json = Mapping[str, Any]


class Unreadable(ValueError):
    """A request is not what its dialect knows; `param` names where, the message says what to do."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class Unsupported(ValueError):
    """A request asks for what cannot be said in another dialect; `feature` names it in words."""

    def __init__(self, feature: str, param: str | None = None) -> None:
        super().__init__(feature)
        self.feature = feature
        self.param = param


@dataclass(frozen=True, slots=True)
class Written:
    """A request as a provider's dialect says it; `dropped` names what was only tuning and left out."""

    body: dict[str, Any]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer is called: an id of ours, the model as its client named it, when it was asked (s)."""

    id: str
    model: str
    created_s: int


class StreamDecoder(Protocol):
    """Reads one stream's events, as decoded JSON objects in the order of their coming."""

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what an event says; nothing for what is only noise."""
        ...


class StreamEncoder(Protocol):
    """Writes one stream's events, as JSON objects that are not yet framed."""

    def write(self, delta: Delta) -> Sequence[dict[str, Any]]:
        """Return the events that say it; some dialects hold back what they can only say later."""
        ...

    def end(self) -> Sequence[dict[str, Any]]:
        """Return the events that end a stream which came to its proper end."""
        ...


class Joined(Protocol):
    """Puts a stream's events together to the whole answer, in the dialect's own words."""

    def add(self, event: dict[str, Any]) -> bool:
        """Add the next event; True when it says something of the model's own: text, thought or call."""
        ...

    def whole(self) -> dict[str, Any]:
        """Return the answer as its endpoint gives it without a stream."""
        ...

    def said(self) -> str:
        """Return all that the model generated so far, texts, thoughts and calls, as one text."""
        ...


@dataclass(frozen=True, slots=True)
class Translator:
    """One dialect of generation.

    `write_answer` and `encoder` get the client's own request besides, for dialects that echo it.
    `joined` is for streams in this dialect, whoever wrote them. `adopted`, where there is one, makes
    ours what a provider said in the same dialect, an answer or an event: where an answer is asked
    for again by its id, the id must be ours.
    """

    dialect: Dialect
    read_request: Callable[[Json], GenerationRequest]
    write_request: Callable[[GenerationRequest], Written]
    read_answer: Callable[[Json], GenerationResponse]
    write_answer: Callable[[GenerationResponse, Head, Json], dict[str, Any]]
    decoder: Callable[[], StreamDecoder]
    encoder: Callable[[Head, Json], StreamEncoder]
    joined: Callable[[], Joined]
    adopted: Callable[[Json, Head, Json], dict[str, Any]] | None = None
