"""The events of a legacy completion as OpenAI's clients expect them; pure.

In: events as the worker logged them, or the whole completion. Out: server-sent events, with one id,
time and model throughout, the usage last and only if asked for.
"""

from typing import Any

import orjson
from starlette.types import Scope

from api.errors import problem
from api.openai.chat_chunks import DONE, SHARED, event
from shared.errors import PenstockError

KIND = "text_completion"
Json = dict[str, Any]


class Texts:
    """One client's stream: what it has had, and how to go on."""

    keep_alive = b": keep-alive\n\n"

    def __init__(self, head: Json, *, include_usage: bool) -> None:
        """Begin; `head` has the `id`, `created` and `model` for events that do not say."""
        self.begun = False
        self._spare = head
        self._head: Json | None = None
        self._include_usage = include_usage
        self._usage: Any = None
        self._choices: dict[int, _Sent] = {}

    @property
    def lacks_something(self) -> bool:
        """Tell whether the usage was asked for and has not come."""
        return self._include_usage and self._usage is None

    def opening(self) -> bytes:
        """Return nothing: the first event is the model's."""
        return b""

    def failed(self, error: PenstockError, scope: Scope) -> bytes:
        """Return the error as an event, which makes the clients raise it."""
        return event({"error": problem(error, scope)["error"]})

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of events as they are sent."""
        return b"".join(self._event(each) for each in orjson.loads(raw))

    def rest(self, whole: Json) -> bytes:
        """Return what the whole completion has beyond the events so far."""
        choices = [choice for choice in whole.get("choices") or () if isinstance(choice, dict)]
        unsaid = [self._unsaid(each) for each in choices if not self._sent(each).finished]
        return self._event({**whole, "choices": unsaid})

    def end(self) -> bytes:
        """Return the usage, if it was asked for and is known, and `[DONE]`."""
        if self.lacks_something or not self._include_usage:
            return DONE
        head = self._head or self._spare
        return event({**head, "object": KIND, "choices": [], "usage": self._usage}) + DONE

    def _event(self, said: Json) -> bytes:
        if said.get("usage") is not None:
            self._usage = said["usage"]
        if self._head is None and said.get("choices"):
            own = {name: said[name] for name in SHARED if said.get(name)}
            self._head = {**self._spare, **own}
        parts = [self._part(part) for part in said.get("choices") or () if isinstance(part, dict)]
        if not parts:
            # Events without choices are surprises to clients: the usage's is sent at the end.
            return b""
        whole = {**said, **(self._head or {}), "object": KIND, "choices": parts}
        whole.pop("usage", None)
        return event({**whole, "usage": None} if self._include_usage else whole)

    def _part(self, part: Json) -> Json:
        sent = self._sent(part)
        whole = {"text": "", "logprobs": None, "finish_reason": None, **part}
        whole |= {"index": sent.index, "text": part.get("text") or ""}
        sent.count(whole)
        self.begun = self.begun or sent.finished or sent.characters > 0
        return whole

    def _unsaid(self, choice: Json) -> Json:
        sent = self._sent(choice)
        columns = choice.get("logprobs")
        logprobs = {
            name: column[sent.tokens :]
            for name, column in (columns.items() if isinstance(columns, dict) else ())
            if isinstance(column, list)
        }
        left = {"text": (choice.get("text") or "")[sent.characters :]}
        return {**choice, **left, "logprobs": logprobs if any(logprobs.values()) else None}

    def _sent(self, part: Json) -> "_Sent":
        index = part.get("index")
        number = index if isinstance(index, int) else 0
        return self._choices.setdefault(number, _Sent(number))


class _Sent:
    """How much of one choice was sent: characters of its text, tokens of its probabilities."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.characters = 0
        self.tokens = 0
        self.finished = False

    def count(self, part: Json) -> None:
        self.characters += len(part["text"])
        columns = part["logprobs"]
        self.tokens += len(columns.get("tokens") or ()) if isinstance(columns, dict) else 0
        self.finished = self.finished or part["finish_reason"] is not None
