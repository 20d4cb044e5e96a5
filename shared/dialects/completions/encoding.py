"""A stream of a legacy completion, written; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dialects.chat.usage import write_usage
from shared.dialects.completions.answers import head_of, write_logprobs, written_finish
from shared.dialects.translator import Head, Json
from shared.inference.generation import (
    Began,
    Delta,
    Finished,
    RefusalDelta,
    TextDelta,
    Used,
)
from shared.inference.usage import Usage

Event = dict[str, Any]


class CompletionEncoder:
    """One stream of texts, the usage at its very end."""

    def __init__(self, head: Head, _asked: Json) -> None:
        self._head = head_of(head)
        self._usage: Usage | None = None
        self._offsets: dict[int, int] = {}

    def write(self, delta: Delta) -> Sequence[Event]:
        """Return the event that says it; of calls and thoughts there is none."""
        match delta:
            case TextDelta():
                return self._text(delta.choice, delta.text, delta.logprobs)
            case RefusalDelta():
                return self._text(delta.choice, delta.text)
            case Finished():
                return self._text(delta.choice, "", finish=written_finish(delta.finish))
            case Began() | Used():
                self._usage = delta.usage or self._usage
            case _:
                pass
        return ()

    def end(self) -> Sequence[Event]:
        """Return the usage, as far as it is known."""
        if self._usage is None:
            return ()
        return ({**self._head, "choices": [], "usage": write_usage(self._usage)},)

    def _text(
        self,
        choice: int,
        text: str,
        logprobs: Mapping[str, Any] | None = None,
        finish: str | None = None,
    ) -> Sequence[Event]:
        written = write_logprobs(logprobs, self._offsets.get(choice, 0))
        if written is not None:
            tokens = sum(map(len, written["tokens"]))
            self._offsets[choice] = self._offsets.get(choice, 0) + tokens
        part = {"index": choice, "text": text, "logprobs": written, "finish_reason": finish}
        return ({**self._head, "choices": [part]},)
