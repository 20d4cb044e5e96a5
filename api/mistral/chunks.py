"""The chunks of a chat completion as Mistral's clients expect them; pure.

They differ from OpenAI's in three ways. The usage rides on the last chunk. A tool call comes whole,
because a piece of one without its name is refused: so the pieces are gathered, and sent with the
reason of the choice's end. And nothing foretells a failure: an event with `error` is refused too,
which is how these clients notice, with our words in the exception.
"""

from typing import Any

from typing_extensions import override

from api.openai.chat_chunks import DONE, Chunks, Json, event


class MistralChunks(Chunks):
    """One client's stream: what it has had, and how to go on."""

    def __init__(self, head: Json) -> None:
        """Begin; `head` has the `id`, `created` and `model` for chunks that do not say."""
        super().__init__(head, include_usage=True)
        self._held: Json | None = None
        self._calls: dict[int, dict[int, Json]] = {}

    @override
    def end(self) -> bytes:
        """Return the last chunk, with the usage, and `[DONE]`."""
        if self._held is None:
            return DONE
        usage = {} if self._usage is None else {"usage": self._usage}
        return event({**self._held, **usage}) + DONE

    @property
    @override
    def lacks_something(self) -> bool:
        """Tell whether the usage has not come, or the end of a tool call."""
        return super().lacks_something or bool(self._calls)

    @override
    def _part(self, part: Json) -> Json:
        return super()._part(self._gathered(part))

    @override
    def _event(self, parts: list[Json], chunk: Json | None = None) -> bytes:
        parts = [part for part in parts if part["delta"] or part["finish_reason"] is not None]
        if not parts:
            return b""
        whole = self._whole(parts, chunk)
        whole.pop("usage", None)
        before, self._held = self._held, None
        if any(part["finish_reason"] is not None for part in parts):
            # It may be the last one, on which the usage rides.
            self._held = whole
            return event(before) if before else b""
        return (event(before) if before else b"") + event(whole)

    def _gathered(self, part: Json) -> Json:
        delta: Json = dict(part.get("delta") or {})
        index = part.get("index") or 0
        pieces = delta.pop("tool_calls", None)
        for piece in pieces or ():
            # Of what is held back nothing was sent, but another answer could not take its place.
            self.begun = True
            _add(self._calls.setdefault(index, {}), piece)
        if part.get("finish_reason") is not None and (calls := self._calls.pop(index, None)):
            delta["tool_calls"] = [calls[number] for number in sorted(calls)]
        return {**part, "delta": delta}


def _add(calls: dict[int, Json], piece: dict[str, Any]) -> None:
    number = piece.get("index")
    number = number if isinstance(number, int) else len(calls)
    call = calls.setdefault(number, {"index": number, "type": "function", "function": {}})
    if piece.get("id"):
        call["id"] = piece["id"]
    function, said = call["function"], piece.get("function") or {}
    if said.get("name"):
        function["name"] = said["name"]
    arguments = said.get("arguments")
    if isinstance(arguments, str):
        function["arguments"] = function.get("arguments", "") + arguments
    elif arguments is not None:
        function["arguments"] = arguments
