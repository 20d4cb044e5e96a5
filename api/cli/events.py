"""A client of event streams: reads server-sent events, and comes back when the connection breaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from api.cli.client import PATIENCE_S, Client, RefusedError

FINAL_EVENTS = frozenset({"job.completed", "job.failed", "job.cancelled", "job.expired"})
RETRY_S = 3.0
BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, its place in the story (None: it has none), what it says."""

    type: str
    id: str | None
    body: dict[str, Any]
    retry_ms: int | None = None

    @property
    def data(self) -> dict[str, Any]:
        """Return what it is about: the job, or a piece of its answer."""
        found: dict[str, Any] = self.body["data"]
        return found


class Parser:
    """Turns bytes, however they are cut, into events."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> list[Event]:
        """Take more bytes; return the events that they complete."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [event for line in lines if (event := self._take(line.removesuffix(b"\r")))]

    def _take(self, line: bytes) -> Event | None:
        if line:
            name, _, value = line.decode().partition(":")
            value = value.removeprefix(" ")
            if name == "data" and name in self._fields:
                value = f"{self._fields[name]}\n{value}"
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            # A comment: only a sign of life.
            return None
        retry = fields.get("retry", "")
        return Event(
            fields.get("event", "message"),
            fields.get("id"),
            orjson.loads(fields["data"]),
            int(retry) if retry.isdecimal() else None,
        )


async def listen(
    client: Client, job_id: str, *, last_event_id: str | None = None
) -> AsyncGenerator[Event, None]:
    """Yield a job's events to its end, over as many connections as it takes.

    Behind a `reset` comes a `snapshot`: what was told before is void. After `last_event_id`
    only what follows it is told, nothing if it was the end.

    Raises:
        RefusedError: the service said no.
        CommandError: nothing answers there, or not any more for two minutes.
    """
    course = _Course(last_event_id)
    while not course.over:
        try:
            async with aclosing(_connection(client, job_id, course)) as events:
                async for event in events:
                    yield event
        except httpx.TransportError as error:
            if not course.may_come_again():
                raise client.no_answer(error) from error
        except RefusedError as error:
            if error.status not in BUSY or not course.may_come_again():
                raise
        if not course.over:
            await asyncio.sleep(course.pause_s)


class _Course:
    """What one who listens knows from connection to connection."""

    def __init__(self, place: str | None) -> None:
        self.place = place
        self.over = False
        self.pause_s = 0.0
        self._retry_s = RETRY_S
        self._heard_at: float | None = None

    def connected(self) -> None:
        self._heard_at = monotonic()
        self.pause_s = self._retry_s

    def hear(self, event: Event) -> None:
        self._heard_at = monotonic()
        self.place = event.id or self.place
        if event.retry_ms is not None:
            self._retry_s = event.retry_ms / 1000
        self.over = event.type in FINAL_EVENTS
        # A connection that has lived long enough is followed by the next one at once.
        renewed = event.type == "reconnect" and event.data.get("reason") == "life_limit"
        self.pause_s = 0.0 if renewed else self._retry_s

    def may_come_again(self) -> bool:
        return self._heard_at is not None and monotonic() < self._heard_at + PATIENCE_S


async def _connection(client: Client, job_id: str, course: _Course) -> AsyncGenerator[Event, None]:
    headers = {} if course.place is None else {"Last-Event-ID": course.place}
    path = f"/v1/jobs/{quote(job_id, safe='')}/events"
    async with client.stream(path, headers) as response:
        course.connected()
        course.over = response.status_code == httpx.codes.NO_CONTENT
        parser = Parser()
        async for piece in response.aiter_bytes():
            for event in parser.feed(piece):
                course.hear(event)
                if event.type != "reconnect":
                    yield event
                if course.over:
                    return
