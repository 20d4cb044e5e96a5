"""A pile of work handed over as one batch, and somebody who reads its results while it runs."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from uuid import uuid4

import orjson

from tests.faults.client import TIMEOUT_S, Client, Reply
from tests.faults.polling import until

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
READ_EVERY_S = 0.3


def line(custom_id: str, text: str, *, model: str = "open", **more: object) -> dict[str, object]:
    """Return a chat line as OpenAI's clients write it; `more` stands beside the body."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
        **more,
    }


def jsonl(lines: Iterable[Mapping[str, object]]) -> bytes:
    """Write lines as a file."""
    return b"".join(orjson.dumps(each) + b"\n" for each in lines)


def upload(
    client: Client, content: bytes, *, name: str = "pile.jsonl", purpose: str = "batch"
) -> str:
    """Upload a file; return its id."""
    mark = uuid4().hex
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
    given = {
        "Authorization": f"Bearer {client.key}",
        "Content-Type": f"multipart/form-data; boundary={mark}",
    }
    with closing(HTTPConnection("127.0.0.1", client.port, timeout=TIMEOUT_S)) as connection:
        connection.request("POST", "/v1/files", body, given)
        response = connection.getresponse()
        text = response.read()
    assert response.status in (200, 201), text
    return str(orjson.loads(text)["id"])


@dataclass
class Pile:
    """A batch in the making; `lines` are its texts by custom id."""

    client: Client
    id: str
    lines: Mapping[str, str]
    read: list[dict[str, Any]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread | None = None

    def shown(self) -> dict[str, Any]:
        """Return the batch as the API shows it."""
        reply = self.act("GET", "")
        assert reply.status == 200, reply
        shown: dict[str, Any] = reply.body
        return shown

    def act(self, method: str, path: str, body: object = None) -> Reply:
        """Call one of the batch's own routes."""
        return self.client.call(method, f"/v1/batches/{self.id}{path}", body)

    def wait(self, *, within_s: float = 60, **wanted: object) -> dict[str, Any]:
        """Wait until it has ended, or until its object has what is `wanted`."""

        def look() -> dict[str, Any] | None:
            with suppress(OSError, HTTPException):
                shown = self.shown()
                there = all(shown[name] == value for name, value in wanted.items())
                return shown if (there if wanted else shown["status"] in ENDED) else None
            return None

        what = f"the batch is {wanted or 'over'}"
        return until(look, what, within_s=within_s, every_s=0.1) or {}

    def results(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Return the ended lines behind a number, as they are streamed."""
        text = self._text(f"/v1/batches/{self.id}/results?after={after}")
        return [orjson.loads(each) for each in text.splitlines()]

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """Return the lines of the output and of the error file, as far as there are files."""
        shown = self.shown()
        found = {}
        for name in ("output_file_id", "error_file_id"):
            identity = shown[name]
            text = self._text(f"/v1/files/{identity}/content") if identity else b""
            found[name] = [orjson.loads(each) for each in text.splitlines()]
        return found

    def follow(self) -> None:
        """Read the results as they come, in the background, from cursor to cursor."""
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Stop reading."""
        self._over.set()
        if self._reader is not None:
            self._reader.join(timeout=60)

    def _follow(self) -> None:
        while not self._over.wait(READ_EVERY_S):
            self.read_on()

    def read_on(self) -> None:
        """Read what came since; an API that is away is asked again the next time."""
        after = self.read[-1]["number"] if self.read else 0
        with suppress(OSError, HTTPException, orjson.JSONDecodeError):
            self.read += self.results(after=after)

    def _text(self, path: str) -> bytes:
        given = {"Authorization": f"Bearer {self.client.key}"}
        with closing(HTTPConnection("127.0.0.1", self.client.port, timeout=TIMEOUT_S)) as asked:
            asked.request("GET", path, headers=given)
            response = asked.getresponse()
            text = response.read()
        assert response.status == 200, (response.status, text[:500])
        return text


def hand_over(client: Client, lines: Iterable[Mapping[str, Any]], **options: object) -> Pile:
    """Upload lines and make a batch of them; `options` stand in its request."""
    given = list(lines)
    file_id = upload(client, jsonl(given))
    asked = {
        "input_file_id": file_id,
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        **options,
    }
    reply = client.call("POST", "/v1/batches", asked)
    assert reply.status == 200, reply
    texts = {each["custom_id"]: each["body"]["messages"][0]["content"] for each in given}
    return Pile(client, reply.body["id"], texts)


def texts(client: Client, number: int, prefix: str = "pile") -> Iterator[tuple[str, str]]:
    """Yield custom ids and texts that no other call has."""
    salt = uuid4().hex[:8]
    for each in range(number):
        yield f"{prefix}-{each}", f"{prefix}-{salt}-{each}."
