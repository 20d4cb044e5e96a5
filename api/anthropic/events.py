"""The events of a streamed message as Anthropic's clients expect them; pure.

In: a message's events as the worker logged them, or the whole message. Out: server-sent events with
their names, of which one begins the message and one, when the job has completed, ends it.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.types import Scope

from api.anthropic.sent_block import SentBlock
from api.errors import REQUEST_ID
from api.surfaces import anthropic_error
from shared.errors import PenstockError

Json = dict[str, Any]
_AT_THE_END = ("stop_reason", "stop_sequence", "stop_details", "container")


def event(value: Mapping[str, Any]) -> bytes:
    """Write one event, in ASCII: some readers break lines at U+2028 and U+0085."""
    raw = orjson.dumps(value)
    if not raw.isascii():
        raw = json.dumps(value, separators=(",", ":")).encode("ascii")
    # Events without a name are passed over in silence.
    return b"event: %b\ndata: %b\n\n" % (str(value["type"]).encode(), raw)


STOP = event({"type": "message_stop"})


class Events:
    """One client's stream: what it has had, and how to go on.

    `begun` once a block was begun: from then on another answer cannot take its place.
    """

    keep_alive = event({"type": "ping"})

    def __init__(self, message_id: str, model: str) -> None:
        """Begin; the id and the model's name are for messages that do not say."""
        self._head: Json = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        self._started = False
        self._finished = False
        self._blocks: dict[int, SentBlock] = {}

    @property
    def begun(self) -> bool:
        """Tell whether anything of the message was sent."""
        return self._finished or bool(self._blocks)

    @property
    def lacks_something(self) -> bool:
        """Tell whether the message's end has not come, although its stream has."""
        return not self._finished

    def opening(self) -> bytes:
        """Return nothing: the first event is the message's."""
        return b""

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of events as they are sent."""
        return b"".join(self._told(each) for each in orjson.loads(raw))

    def rest(self, message: Json) -> bytes:
        """Return what the whole message has beyond the events so far.

        Raises:
            StreamBroken: it cannot be told apart from what was sent.
        """
        events = [self._start(message)]
        for index, block in enumerate(message.get("content") or ()):
            sent = self._blocks.setdefault(index, SentBlock())
            events += [event({**each, "index": index}) for each in sent.rest(block)]
        if not self._finished:
            self._finished = True
            delta = {name: message[name] for name in _AT_THE_END if name in message}
            usage = message.get("usage") or self._head["usage"]
            events.append(event({"type": "message_delta", "delta": delta, "usage": usage}))
        return b"".join(events)

    def end(self) -> bytes:
        """Return the event that says that all went well."""
        return STOP

    def failed(self, error: PenstockError, scope: Scope) -> bytes:
        """Return the error as an event, which makes the clients raise it."""
        return event(anthropic_error(error, scope.get(REQUEST_ID)))

    def _told(self, each: Json) -> bytes:
        kind = each.get("type")
        if kind == "message_start":
            return self._start(each.get("message") or {})
        if kind == "message_stop" or not _is_name(kind):
            # That all went well is said when the job has ended.
            return b""
        if kind == "ping":
            return self.keep_alive
        return self._start({}) + self._counted(each)

    def _counted(self, each: Json) -> bytes:
        if each["type"] == "message_delta":
            self._finished = True
        elif isinstance(index := each.get("index"), int):
            self._blocks.setdefault(index, SentBlock()).count(each)
        return event(each)

    def _start(self, message: Json) -> bytes:
        # A call that is made once more begins a message anew; its client has begun it already.
        if self._started:
            return b""
        self._started = True
        said = {name: value for name, value in message.items() if value is not None}
        empty = {name: self._head[name] for name in ("content", "stop_reason", "stop_sequence")}
        return event({"type": "message_start", "message": {**self._head, **said, **empty}})


def _is_name(kind: object) -> bool:
    # It stands on a line of its own.
    return isinstance(kind, str) and kind.isascii() and kind.isidentifier()
