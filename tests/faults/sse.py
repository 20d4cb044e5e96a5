"""Clients that read server-sent events: one that reads a response, one that comes back as a browser does."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import SHUT_RDWR, socket
from typing import Any

import orjson
from typing_extensions import override

TIMEOUT_S = 20
AGAIN_S = 0.1
OK, NO_CONTENT = 200, 204
FINAL = ("job.completed", "job.failed", "job.cancelled", "job.expired")


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it came; `connection` counts the connections of its reader from 1 on."""

    name: str
    id: str
    data: Any
    connection: int = 1
    at: float = field(default_factory=time.monotonic)

    @property
    def place(self) -> tuple[int, int] | None:
        """Return the numbers in its id: of the event, and of the delta behind it."""
        if not self.id:
            return None
        _, number, delta = self.id.split(".")
        return int(number), int(delta)


def read_events(response: HTTPResponse, connection: int = 1) -> Iterator[Told]:
    """Yield events as they come; a block without data is none, and the last one may be cut off.

    Raises:
        OSError, HTTPException: the connection broke.
    """
    fields: dict[str, str] = {}
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(":")
        if line != b"\n":
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            raw = fields["data"]
            data = raw if raw == "[DONE]" else orjson.loads(raw)
            yield Told(fields.get("event", "message"), fields.get("id", ""), data, connection)
        fields = {}


class Reader(ABC):
    """A thread that reads; `stop` hangs up, from any thread."""

    def __init__(self) -> None:
        self.events: list[Told] = []
        self.over = threading.Event()
        self._stopped = threading.Event()
        self._socket: socket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def stop(self) -> None:
        """Hang up and end."""
        self._stopped.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(SHUT_RDWR)
        self._thread.join(TIMEOUT_S)

    def names(self) -> list[str]:
        """Return the names of the events so far."""
        return [event.name for event in self.events]

    def _run(self) -> None:
        try:
            self._read()
        finally:
            self.over.set()

    @abstractmethod
    def _read(self) -> None:
        """Read to the end, or until `stop`."""


class Follower(Reader):
    """Follows a job to its end, from connection to connection, by the id of the last event.

    `ports` are those of the APIs, of which it takes one after the other.
    """

    def __init__(self, ports: list[int], key: str, job_id: str, *, last_id: str = "") -> None:
        super().__init__()
        self.job_id = job_id
        self.last_id = last_id
        self.connections = 0
        self.statuses: list[int] = []
        self._ports = ports
        self._key = key
        self._thread.start()

    @property
    def deltas(self) -> list[Told]:
        """Return the deltas so far."""
        return [event for event in self.events if event.name == "job.delta"]

    @property
    def number(self) -> int:
        """Return the number of the newest event that it knows of; 2 is a first claim's."""
        return int(self.last_id.split(".")[1]) if self.last_id else 0

    @override
    def _read(self) -> None:
        while not (self._stopped.is_set() or self._has_seen_the_end()):
            with suppress(OSError, HTTPException):
                if self._listen() == NO_CONTENT:
                    return
            self._stopped.wait(AGAIN_S)

    def _listen(self) -> int:
        self.connections += 1
        port = self._ports[self.connections % len(self._ports)]
        headers = {"Authorization": f"Bearer {self._key}"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        with closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
            connection.request("GET", f"/v1/jobs/{self.job_id}/events", headers=headers)
            self._socket = connection.sock
            response = connection.getresponse()
            self.statuses.append(response.status)
            if response.status == OK:
                for event in read_events(response, self.connections):
                    self.events.append(event)
                    self.last_id = event.id or self.last_id
        return response.status

    def _has_seen_the_end(self) -> bool:
        return any(name in FINAL for name in self.names())


class ChatReader(Reader):
    """Reads the chunks of one `POST /v1/chat/completions` with `stream: true`."""

    def __init__(
        self, port: int, key: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.headers: Mapping[str, str] = {}
        self.asked = str(body["messages"][0]["content"])
        self.status = 0
        self.refusal: Any = None
        self.broken = False
        self._answered = threading.Event()
        self._port = port
        self._body = orjson.dumps({**body, "stream": True})
        self._sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._sent.update(headers)
        self._thread.start()

    @property
    def job_id(self) -> str:
        """Return the job that this call is, once the answer has begun."""
        assert self._answered.wait(TIMEOUT_S), "no answer began"
        return self.headers["penstock-job-id"]

    @property
    def text(self) -> str:
        """Return what was said so far."""
        deltas = [
            choice["delta"]
            for event in self.events
            if isinstance(event.data, dict)
            for choice in event.data.get("choices") or ()
        ]
        return "".join(delta.get("content") or "" for delta in deltas)

    @property
    def error(self) -> Any:
        """Return the error that ended the stream, None if there was none."""
        found = [event.data["error"] for event in self.events if "error" in event.data]
        return found[0] if found else None

    @property
    def done(self) -> bool:
        """Tell whether it came to its proper end."""
        return any(event.data == "[DONE]" for event in self.events)

    @override
    def _read(self) -> None:
        try:
            with closing(HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S)) as connection:
                connection.request("POST", "/v1/chat/completions", self._body, self._sent)
                self._socket = connection.sock
                self._take(connection.getresponse())
        except (OSError, HTTPException):
            self.broken = True
        finally:
            self._answered.set()

    def _take(self, response: HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._answered.set()
        if response.status != OK:
            self.refusal = orjson.loads(response.read())
            return
        for event in read_events(response):
            self.events.append(event)
