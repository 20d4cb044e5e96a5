"""From what a client asks in its dialect to what a provider hears in its own, and back. Pure.

Where both are the same nothing is rewritten: keys and blocks that nobody here knows go through.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from shared.dialects.registry import translator_of
from shared.dialects.translator import Head, Json, StreamDecoder, StreamEncoder, Written
from shared.inference.dialect import Dialect

PREFERENCE = (Dialect.CHAT, Dialect.MESSAGES, Dialect.GEMINI, Dialect.RESPONSES)
"""Which of several dialects of a provider to use for a client that speaks none of them."""


def spoken(client: Dialect, provider: Collection[Dialect]) -> Dialect:
    """Return the dialect in which to ask a provider: the client's own, if the provider speaks it."""
    if client in provider:
        return client
    return next(each for each in PREFERENCE if each in provider)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The way between two dialects of generation."""

    client: Dialect
    provider: Dialect

    @property
    def same(self) -> bool:
        """Tell whether there is nothing to translate."""
        return self.client is self.provider

    @property
    def transparent(self) -> bool:
        """Tell whether an answer goes through as it is, byte for byte."""
        return self.same and translator_of(self.client).adopted is None

    def request(self, body: Json) -> Written:
        """Return the request as the provider hears it.

        Raises:
            Unreadable: it is not what the client's dialect knows.
            Unsupported: the provider's dialect has no words for it.
        """
        if self.same:
            return Written(dict(body))
        asked = translator_of(self.client).read_request(body)
        written = translator_of(self.provider).write_request(asked)
        return Written(written.body, (*written.dropped, *asked.unknown))

    def answer(self, answer: Json, head: Head, asked: Json) -> dict[str, Any]:
        """Return a whole answer as the client hears it; `asked` is the client's request."""
        adopted = translator_of(self.client).adopted
        if self.same:
            return dict(answer) if adopted is None else adopted(answer, head, asked)
        said = translator_of(self.provider).read_answer(answer)
        return translator_of(self.client).write_answer(said, head, asked)

    def stream(self, head: Head, asked: Json) -> "StreamBridge":
        """Return what translates one stream."""
        adopted = translator_of(self.client).adopted
        if self.same and adopted is not None:
            return AdoptingBridge(adopted, head, asked)
        if self.same:
            return StreamBridge(None, None)
        return StreamBridge(
            translator_of(self.provider).decoder(),
            translator_of(self.client).encoder(head, asked),
        )


class StreamBridge:
    """One stream on its way: a provider's events in, the client's out."""

    def __init__(self, decoder: StreamDecoder | None, encoder: StreamEncoder | None) -> None:
        self._decoder = decoder
        self._encoder = encoder

    def feed(self, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return what the next event is to the client."""
        if self._decoder is None or self._encoder is None:
            return (event,)
        return [told for delta in self._decoder.read(event) for told in self._encoder.write(delta)]

    def end(self) -> Sequence[dict[str, Any]]:
        """Return what is left to say after the provider's last event."""
        return () if self._encoder is None else self._encoder.end()


class AdoptingBridge(StreamBridge):
    """A stream in the client's own dialect, of which a little has to be ours."""

    def __init__(
        self, adopted: Callable[[Json, Head, Json], dict[str, Any]], head: Head, asked: Json
    ) -> None:
        super().__init__(None, None)
        self._adopted = adopted
        self._head = head
        self._asked = asked

    @override
    def feed(self, event: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Return the next event, made ours."""
        return (self._adopted(event, self._head, self._asked),)
