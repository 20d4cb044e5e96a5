"""What the fake provider must know of a dialect so that it can speak, and misbehave, in it."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from tests.fakes.upstream_azure_wire import AzureWire
from tests.fakes.upstream_chat_wire import ChatWire
from tests.fakes.upstream_cohere_wire import CohereWire
from tests.fakes.upstream_gemini_wire import GeminiWire
from tests.fakes.upstream_messages_wire import MessagesWire
from tests.fakes.upstream_responses_wire import ResponsesWire
from tests.fakes.upstream_vertex_wire import VertexWire

Body: TypeAlias = Mapping[str, Any]
Headers: TypeAlias = Mapping[str, str]


class Wire(Protocol):
    """One dialect. Paths come without their query; header names are in lower case.

    `terminator` is what ends a stream after its last event, ready to be written, empty where a
    dialect has none; `broken_event` is an event that is no JSON.
    """

    terminator: bytes
    broken_event: bytes

    def owns(self, path: str) -> bool:
        """Tell whether a POST to a path is a call in this dialect."""
        ...

    def streams(self, path: str, body: Body) -> bool:
        """Tell whether a call asks for a stream."""
        ...

    def model(self, path: str, body: Body) -> str:
        """Return the model that a call names."""
        ...

    def marker(self, body: Body) -> str:
        """Return the first 200 characters of what the user last said, by which tests know a call."""
        ...

    def key(self, headers: Headers) -> str:
        """Return the credential of a call, empty where there is none."""
        ...

    def refusal(self, path: str, headers: Headers, body: Body) -> str | None:
        """Return why the real provider would refuse a call with 400, None where it would not."""
        ...

    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return the whole answer; `content` and `output_tokens` are set where a rule names them."""
        ...

    def events(self, answer: Body, body: Body) -> list[bytes]:
        """Return an answer as framed events, at least three, without the terminator."""
        ...

    def usage(self, answer: Body) -> Any:
        """Return what an answer reports as used."""
        ...

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Have an answer report other usage, or with None nothing at all."""
        ...

    def empty(self, answer: dict[str, Any]) -> None:
        """Take out of an answer what makes it one."""
        ...

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Take the reason of its end out of an answer."""
        ...

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return an error's body; without a status, one of the server's own."""
        ...

    def error_event(self, error: Any, after: int) -> bytes:
        """Return an error's body as a framed event in a stream, after so many others."""
        ...


WIRES: tuple[Wire, ...] = (
    AzureWire(),
    VertexWire(),
    ChatWire(),
    CohereWire(),
    MessagesWire(),
    GeminiWire(),
    ResponsesWire(),
)


def wire_of(path: str) -> Wire | None:
    """Return the dialect that owns a path: the first one that claims it."""
    return next((wire for wire in WIRES if wire.owns(path)), None)
