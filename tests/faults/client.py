"""A client of Penstock's API, and the list of what was accepted: the oracle's starting point."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from typing import Any, TypeVar, cast
from uuid import uuid4

import orjson

from tests.faults.sse import FINAL, ChatReader, Follower

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT_S = 40
AT_ONCE = 16
COMPLETED = frozenset({"completed"})
HEARS = ("job.started", "job.completed", "job.failed", "job.cancelled", "job.expired")
"""What the webhooks of the tests' jobs ask for."""
FOLLOWED = 2
"""So many jobs of a test, its first ones, have somebody who follows their events."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(slots=True)
class Accepted:
    """A job that was answered with 202, and what the oracle shall expect of it.

    `failures` is how many attempts it may have used up (None: not known in advance), `text` what
    the provider was asked: it finds the job's calls in the ledger. `hears` are the events that its
    webhook asks for.
    """

    id: str
    model: str
    text: str
    max_attempts: int
    ends: frozenset[str] = COMPLETED
    failures: int | None = 0
    hears: frozenset[str] = frozenset()
    follower: Follower | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registered receiver, and what signs for it."""

    id: str
    secret: str


@dataclass
class Client:
    """Speaks HTTP with one API process; may be used by many threads.

    Without other orders every job has a webhook at `hook`, and every other one streams.
    """

    port: int
    key: str
    accepted: list[Accepted] = field(default_factory=list)
    hook: str = ""
    _endpoints: list[Endpoint] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _turns: Iterator[int] = field(default_factory=count)
    _salt: str = field(default_factory=lambda: uuid4().hex[:8])

    def begin_anew(self) -> None:
        """Forget what was accepted, and who follows it."""
        for job in self.accepted:
            self.hang_up(job)
        self.accepted.clear()
        self._turns = count()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Reply:
        """Send one request and return the answer.

        Raises:
            OSError, HTTPException: the connection was refused or lost.
        """
        raw = None if body is None else orjson.dumps(body)
        given = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
        if raw is not None:
            given["Content-Type"] = "application/json"
        # A connection each: one that is kept may be lost between two calls, and is no finding.
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)) as connection:
            connection.request(method, path, raw, given)
            response = connection.getresponse()
            text = response.read()
        shown = orjson.loads(text) if text else None
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, shown)

    def submit(
        self,
        model: str = "open",
        *,
        text: str | None = None,
        ends: Iterable[str] = COMPLETED,
        failures: int | None = 0,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        **options: object,
    ) -> Accepted:
        """Submit a chat job, insist on a 202, and remember it; `options` stand beside the body."""
        text = text or self.unique_text()
        turn = next(self._turns)
        body = {"stream": turn % 2 == 0, **(body or {})}
        reply = self.post(model, text, headers=headers, body=body, **options)
        assert reply.status == 202, reply
        attempts = int(str(options.get("max_attempts", 5)))
        job = self.remember(
            reply, model, text, max_attempts=attempts, ends=frozenset(ends), failures=failures
        )
        if "webhook" in options:
            asked = cast("Mapping[str, Any] | None", options["webhook"])
            job.hears = frozenset(asked.get("events", FINAL) if asked else ())
        if turn < FOLLOWED:
            job.follower = self.follow(job.id)
        return job

    def remember(
        self,
        reply: Reply,
        model: str,
        text: str,
        *,
        max_attempts: int = 5,
        ends: frozenset[str] = COMPLETED,
        failures: int | None = 0,
    ) -> Accepted:
        """Note down a job that was accepted, for the oracle."""
        hears = frozenset(HEARS if self.hook else ())
        job = Accepted(reply.body["id"], model, text, max_attempts, ends, failures, hears)
        self.accepted.append(job)
        return job

    def submit_many(self, number: int, model: str = "open", **options: Any) -> list[Accepted]:
        """Submit jobs, several at once."""
        return self.at_once(lambda _: self.submit(model, **options), range(number))

    def post(
        self,
        model: str,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        **options: object,
    ) -> Reply:
        """Submit a chat job and return whatever the answer is."""
        chat = {"model": model, "messages": [{"role": "user", "content": text}], **(body or {})}
        given = {"endpoint": "/v1/chat/completions", "body": chat, **self._webhook(), **options}
        return self.call("POST", "/v1/jobs", given, headers=headers)

    def get(self, job_id: str, *, wait_s: float = 0) -> Any:
        """Return the job as the API shows it, once it has ended or `wait_s` is over."""
        reply = self.call("GET", f"/v1/jobs/{job_id}?wait={wait_s:g}")
        assert reply.status == 200, reply
        return reply.body

    def text(self, path: str) -> str:
        """Return what a path says that does not answer in JSON."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def follow(self, job_id: str, *, last_id: str = "") -> Follower:
        """Follow a job's events in the background, to its end."""
        return Follower([self.port], self.key, job_id, last_id=last_id)

    def register(self, url: str, *event_types: str) -> Endpoint:
        """Register a receiver of the events of all jobs; `remove_endpoints` ends it."""
        given = {"name": "of a test", "url": url, "event_types": event_types}
        reply = self.call("POST", "/v1/webhook_endpoints", given)
        assert reply.status in (200, 201), reply
        endpoint = Endpoint(reply.body["id"], reply.body["signing_secret"])
        self._endpoints.append(endpoint)
        return endpoint

    def remove_endpoints(self) -> None:
        """Remove every receiver that was registered."""
        while self._endpoints:
            endpoint = self._endpoints.pop()
            self.call("DELETE", f"/v1/webhook_endpoints/{endpoint.id}")

    def hang_up(self, job: Accepted) -> None:
        """Let nobody follow a job any more."""
        if job.follower is not None:
            job.follower.stop()
            job.follower = None

    def chat(
        self,
        text: str,
        *,
        model: str = "open",
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> ChatReader:
        """Ask for an answer now, in chunks, and read it in the background."""
        messages = [{"role": "user", "content": text}]
        chat = {"model": model, "messages": messages, **body}
        return ChatReader(self.port, self.key, chat, headers or {})

    def unique_text(self) -> str:
        """Return a text that no other call has."""
        return f"{self._salt}-{next(self._numbers)}."

    def _webhook(self) -> dict[str, object]:
        return {"webhook": {"url": self.hook, "events": HEARS}} if self.hook else {}

    @staticmethod
    def at_once(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Do something for each item, sixteen at a time; results in order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(work, items))
