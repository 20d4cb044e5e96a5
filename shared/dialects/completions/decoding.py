"""A stream of a legacy completion, read; pure."""

from collections.abc import Sequence
from typing import Any

from shared.dialects.chat.answers import finish_of
from shared.dialects.chat.usage import read_usage
from shared.dialects.completions.answers import read_logprobs
from shared.dialects.translator import Json
from shared.inference.generation import Began, Delta, Finished, TextDelta, Used


class CompletionDecoder:
    """One stream of texts."""

    def __init__(self) -> None:
        self._began = False
        self._finished: set[int] = set()

    def read(self, event: Json) -> Sequence[Delta]:
        """Return what an event says."""
        said: list[Delta] = []
        if not self._began:
            self._began = True
            created = event.get("created")
            known = created if isinstance(created, int) else 0
            said.append(Began(str(event.get("id") or ""), str(event.get("model") or ""), known))
        for part in event.get("choices") or ():
            self._part(part, said)
        if (usage := read_usage(event)) is not None:
            said.append(Used(usage))
        return said

    def _part(self, part: dict[str, Any], said: list[Delta]) -> None:
        index = part.get("index") or 0
        text, logprobs = part.get("text") or "", read_logprobs(part.get("logprobs"))
        if text or logprobs:
            said.append(TextDelta(index, text, logprobs))
        finish = part.get("finish_reason")
        if finish is not None and index not in self._finished:
            self._finished.add(index)
            said.append(Finished(index, finish_of(finish, calls=False)))
