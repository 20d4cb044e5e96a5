"""A client of Penstock's API, and the list of what was accepted: the oracle's starting point."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import orjson

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT_S = 40
AT_ONCE = 16
COMPLETED = frozenset({"completed"})


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
    the provider was asked: it finds the job's calls in the ledger.
    """

    id: str
    model: str
    text: str
    max_attempts: int
    ends: frozenset[str] = COMPLETED
    failures: int | None = 0


@dataclass
class Client:
    """Speaks HTTP with one API process; may be used by many threads."""

    port: int
    key: str
    accepted: list[Accepted] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _salt: str = field(default_factory=lambda: uuid4().hex[:8])

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
        reply = self.post(model, text, headers=headers, body=body, **options)
        assert reply.status == 202, reply
        attempts = int(str(options.get("max_attempts", 5)))
        return self.remember(
            reply, model, text, max_attempts=attempts, ends=frozenset(ends), failures=failures
        )

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
        job = Accepted(reply.body["id"], model, text, max_attempts, ends, failures)
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
        given = {"endpoint": "/v1/chat/completions", "body": chat, **options}
        return self.call("POST", "/v1/jobs", given, headers=headers)

    def get(self, job_id: str, *, wait_s: float = 0) -> Any:
        """Return the job as the API shows it, once it has ended or `wait_s` is over."""
        reply = self.call("GET", f"/v1/jobs/{job_id}?wait={wait_s:g}")
        assert reply.status == 200, reply
        return reply.body

    def unique_text(self) -> str:
        """Return a text that no other call has."""
        return f"{self._salt}-{next(self._numbers)}."

    @staticmethod
    def at_once(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Do something for each item, sixteen at a time; results in order."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(work, items))
