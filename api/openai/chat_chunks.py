"""The chunks of a chat completion as OpenAI's clients expect them; pure.

In: a provider's chunks as the worker logged them, or the whole completion. Out: server-sent
events, with one id, time and model throughout, the role first, the usage last and only if asked for.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.types import Scope

from api.direct.failures import StreamBroken
from api.errors import problem
from shared.errors import PenstockError

KIND = "chat.completion.chunk"
DONE = b"data: [DONE]\n\n"
SHARED = ("id", "created", "model")
KEPT = ("service_tier", "system_fingerprint")
Json = dict[str, Any]


def event(value: Mapping[str, Any]) -> bytes:
    """Write one event, in ASCII: some readers break lines at U+2028 and U+0085."""
    raw = orjson.dumps(value)
    if not raw.isascii():
        raw = json.dumps(value, separators=(",", ":")).encode("ascii")
    return b"data: " + raw + b"\n\n"


class Chunks:
    """One client's stream: what it has had, and how to go on.

    `begun` once something was said: from then on another answer cannot take its place.
    """

    keep_alive = b": keep-alive\n\n"

    def __init__(self, head: Json, *, include_usage: bool) -> None:
        """Begin; `head` has the `id`, `created` and `model` for chunks that do not say."""
        self.begun = False
        self._spare = head
        self._head: Json | None = None
        self._tail: Json = {}
        self._include_usage = include_usage
        self._usage: Any = None
        self._choices: dict[int, _Sent] = {}

    @property
    def lacks_something(self) -> bool:
        """Tell whether the usage was asked for and has not come."""
        return self._include_usage and self._usage is None

    def opening(self) -> bytes:
        """Return nothing: the first chunk is the model's."""
        return b""

    def failed(self, error: PenstockError, scope: Scope) -> bytes:
        """Return the error as an event, which makes the clients raise it."""
        return event({"error": problem(error, scope)["error"]})

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of chunks as events."""
        return b"".join(self._chunk(each) for each in orjson.loads(raw))

    def rest(self, completion: Json) -> bytes:
        """Return what the whole completion has beyond the chunks so far.

        Raises:
            StreamBroken: it cannot be told apart from what was sent.
        """
        self._note(completion)
        events = []
        for choice in completion.get("choices") or ():
            sent = self._choices.setdefault(choice["index"], _Sent())
            events += [self._event([part]) for part in _remainder(choice, sent)]
        return b"".join(events)

    def end(self) -> bytes:
        """Return the usage, if it was asked for and is known, and `[DONE]`."""
        if not self._include_usage or self._usage is None:
            return DONE
        head = self._head or self._spare
        chunk = {"object": KIND, **head, **self._tail, "choices": [], "usage": self._usage}
        return event(chunk) + DONE

    def _chunk(self, chunk: Json) -> bytes:
        self._note(chunk)
        parts = [self._part(part) for part in chunk.get("choices") or () if isinstance(part, dict)]
        # Chunks without choices are surprises to clients: the usage's is sent at the end.
        return self._event(parts, chunk) if parts else b""

    def _note(self, source: Json) -> None:
        """Take from a chunk or the whole what belongs to the answer at large."""
        if source.get("usage") is not None:
            self._usage = source["usage"]
        self._tail.update({name: source[name] for name in KEPT if source.get(name) is not None})
        if self._head is None and source.get("choices"):
            said = {name: source[name] for name in SHARED if source.get(name)}
            self._head = {**self._spare, **said}

    def _part(self, part: Json) -> Json:
        index = part.get("index")
        index = index if isinstance(index, int) else 0
        sent = self._choices.setdefault(index, _Sent())
        delta = sent.opening(part.get("delta") or {})
        part = {**part, "index": index, "delta": delta}
        part.setdefault("finish_reason", None)
        sent.count(part)
        return part

    def _event(self, parts: list[Json], chunk: Json | None = None) -> bytes:
        return event(self._whole(parts, chunk))

    def _whole(self, parts: list[Json], chunk: Json | None = None) -> Json:
        self.begun = self.begun or any(sent.begun for sent in self._choices.values())
        base = self._tail if chunk is None else chunk
        whole = {**base, "object": KIND, **(self._head or self._spare), "choices": parts}
        if self._include_usage:
            whole["usage"] = None
        else:
            whole.pop("usage", None)
        return whole


class _Sent:
    """How much of one choice was sent: characters of texts, tokens of logprobs, other members."""

    __slots__ = ("finished", "opened", "others", "texts", "tokens")

    def __init__(self) -> None:
        self.opened = False
        self.finished = False
        self.texts: dict[str, int] = {}
        self.tokens: dict[str, int] = {}
        self.others: set[str] = set()

    @property
    def begun(self) -> bool:
        """Tell whether anything was said."""
        return self.finished or bool(self.others) or any(self.texts.values())

    def opening(self, delta: Json) -> Json:
        """Return a delta with the role if it is the choice's first, without it if not."""
        rest = {name: value for name, value in delta.items() if name != "role"}
        if self.opened:
            return rest
        self.opened = True
        return {"role": delta.get("role") or "assistant", **rest}

    def count(self, part: Json) -> None:
        """Count what a part adds."""
        self.finished = self.finished or part["finish_reason"] is not None
        for name, value in part["delta"].items():
            if isinstance(value, str) and name != "role":
                self.texts[name] = self.texts.get(name, 0) + len(value)
            elif isinstance(value, dict | list) and value:
                self.others.add(name)
        for name, tokens in (part.get("logprobs") or {}).items():
            if isinstance(tokens, list):
                self.tokens[name] = self.tokens.get(name, 0) + len(tokens)


def _remainder(choice: Json, sent: _Sent) -> Iterator[Json]:
    if sent.finished:
        return
    delta = sent.opening({"role": "assistant", **_unsaid(choice.get("message") or {}, sent)})
    logprobs = _unsaid_tokens(choice.get("logprobs"), sent)
    if delta or logprobs is not None:
        part = {"index": choice["index"], "delta": delta, "logprobs": logprobs}
        part["finish_reason"] = None
        sent.count(part)
        yield part
    last = {"index": choice["index"], "delta": {}, "finish_reason": choice.get("finish_reason")}
    sent.count(last)
    yield last


def _unsaid(message: Json, sent: _Sent) -> Json:
    rest: Json = {}
    for name, value in message.items():
        if isinstance(value, str) and name != "role":
            if len(value) > sent.texts.get(name, 0):
                rest[name] = value[sent.texts.get(name, 0) :]
        elif isinstance(value, dict | list) and value:
            if name in sent.others:
                # They come in pieces that cannot be told apart afterwards.
                raise StreamBroken("The stream was lost in the middle of a tool call. Try again.")
            calls = name == "tool_calls"
            rest[name] = [{"index": n, **each} for n, each in enumerate(value)] if calls else value
    return rest


def _unsaid_tokens(logprobs: Json | None, sent: _Sent) -> Json | None:
    rest = {
        name: tokens[sent.tokens.get(name, 0) :]
        for name, tokens in (logprobs or {}).items()
        if isinstance(tokens, list)
    }
    return rest if any(rest.values()) else None
