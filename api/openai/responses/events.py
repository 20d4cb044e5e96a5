"""The events of a response as OpenAI's clients expect them: framed, numbered, and complete; pure.

In: a provider's events as the worker logged them, or the whole response. Out: server-sent events
whose numbers are the same whenever they are told: the log is always told from its beginning, and
what a client has had already is only counted.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from starlette.types import Scope

from api.direct.failures import StreamBroken
from api.openai.responses.stored import StoredResponse, stamped, unanswered
from shared.clock import now_ms
from shared.dialects.responses import events
from shared.dialects.responses.retelling import Diverged, Sent, retold
from shared.errors import PenstockError, openai_error
from shared.jobs.failures import JobFailed
from shared.jobs.transitions import JobState

Json = dict[str, Any]


class ResponseEvents:
    """One client's stream: what it has had, and how to go on."""

    keep_alive = b": keep-alive\n\n"

    def __init__(self, stored: StoredResponse, *, after: int = -1, only_end: bool = False) -> None:
        """Begin; `after` is the number of the last event that the client has had.

        With `only_end` what it has had is of no use any more: the job has begun again since then.
        """
        self._stored = stored
        self._after = after
        self._only_end = only_end
        self._number = 0
        self._sent = Sent()
        self._opened = False
        self._last: Json | None = None

    @property
    def begun(self) -> bool:
        """Tell whether anything was said."""
        return self._sent.any

    @property
    def lacks_something(self) -> bool:
        """Tell whether the last event has not come."""
        return self._last is None

    def opening(self) -> bytes:
        """Return what is told at once of a response in the background: that it is there.

        Any other begins when its model does: until then a failure has a status of its own.
        """
        return self._open() if self._stored.in_background else b""

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of events as they are sent."""
        return self._tell(orjson.loads(raw))

    def rest(self, whole: Json) -> bytes:
        """Return what the whole response has beyond the events so far.

        Raises:
            StreamBroken: it cannot be told apart from what was sent.
        """
        try:
            told = list(retold(whole, self._sent))
        except Diverged as error:
            detail = "The stream was lost in the middle. Ask for the response by its id."
            raise StreamBroken(detail) from error
        return self._tell(told)

    def end(self) -> bytes:
        """Return the last event: only now the answer is stored, and will not change any more."""
        return b"" if self._last is None else self._end(self._last)

    def failed(self, error: PenstockError, scope: Scope) -> bytes:  # noqa: ARG002 - as all have it
        """Return the event that tells of a failure: the response's own, or of this stream only."""
        if isinstance(error, JobFailed):
            cancelled = error.extra.get("job_status") == JobState.CANCELLED
            status = "cancelled" if cancelled else "failed"
            whole = unanswered(self._stored, status, error)
            return self._open() + self._end(events.lifecycle(events.FAILED, whole))
        told = openai_error(error)
        names = ("code", "message", "param")
        # Flat for OpenAI's types, and as an object, which makes its clients raise it.
        event = {"type": "error", **{name: told[name] for name in names}, "error": told}
        return self._open() + self._framed(event)

    def _open(self) -> bytes:
        if self._opened:
            return b""
        self._opened = True
        kinds = [events.CREATED]
        status = "in_progress"
        if self._stored.in_background:
            status = "queued"
            kinds.append(events.QUEUED)
        whole = unanswered(self._stored, status)
        return b"".join(self._framed(events.lifecycle(kind, whole)) for kind in kinds)

    def _tell(self, told: Iterable[Json]) -> bytes:
        pieces = [self._open()]
        for event in told:
            kind = event.get("type")
            if kind in events.LAST:
                self._last = event
            elif kind not in events.OPENINGS:  # which we have said in our own words
                self._sent.note(event)
                pieces.append(self._framed(event))
        return b"".join(pieces)

    def _end(self, event: Json) -> bytes:
        # It is told in any case: who comes back must not wait for ever.
        self._number = max(self._number, self._after + 1)
        finished_at = self._stored.full.job["finished_at"] or now_ms()
        return self._framed({**event, "response": stamped(event["response"], finished_at // 1000)})

    def _framed(self, event: Json) -> bytes:
        number, self._number = self._number, self._number + 1
        last = event["type"] in events.LAST or event["type"] == "error"
        if number <= self._after or (self._only_end and not last):
            return b""
        numbered = {**event, "sequence_number": number}
        return f"event: {event['type']}\ndata: ".encode() + _ascii(numbered) + b"\n\n"


def _ascii(value: Mapping[str, Any]) -> bytes:
    # Some readers break lines at U+2028 and U+0085.
    raw = orjson.dumps(value)
    return raw if raw.isascii() else json.dumps(value, separators=(",", ":")).encode("ascii")
