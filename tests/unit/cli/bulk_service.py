"""A service that takes files and batches, in memory: what the bulk commands talk to."""

import re
from collections import Counter
from email import message_from_bytes
from typing import Any

import httpx
import orjson

from api.cli.client import Client


class BulkService:
    """Answers like Penstock; each look at a batch lets some of its lines end.

    A document that says `fail` fails the first time, one that says `refuse` is not taken.
    """

    def __init__(self, *, ended_a_look: int = 2) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.asked: list[tuple[str, str]] = []
        self.refusal: httpx.Response | None = None
        self.taken_before = 0
        self._by_key: dict[str, str] = {}
        self._ended_a_look = ended_a_look

    def client(self) -> Client:
        """Return a client of it."""
        return Client("http://127.0.0.1:1", "pk_x", transport=httpx.MockTransport(self))

    @property
    def uploads(self) -> Counter[bytes]:
        """How often each content was uploaded."""
        return Counter(content for _, content in self.files.values())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        path = request.url.path
        self.asked.append((request.method, path))
        if path == "/healthz":
            return httpx.Response(200, json={})
        if path == "/v1/files":
            return self._upload(request)
        if request.method == "DELETE":
            del self.files[path.removeprefix("/v1/files/")]
            return httpx.Response(200, json={})
        if path == "/v1/batches":
            return self._create(request)
        batch_id, _, what = path.removeprefix("/v1/batches/").partition("/")
        batch = self.batches[batch_id]
        if what == "results":
            return self._results(batch, request.url.params)
        if what == "retry":
            self._retry(batch)
        else:
            self._go_on(batch)
        return httpx.Response(200, json=self._public(batch))

    def _upload(self, request: httpx.Request) -> httpx.Response:
        head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
        (file,) = [
            part
            for part in message_from_bytes(head + request.content).walk()
            if part.get_filename()
        ]
        content = file.get_payload(decode=True)
        assert isinstance(content, bytes)
        if b"refuse" in content:
            return problem(400, "invalid_field", param="file")
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = (str(file.get_filename()), content)
        return httpx.Response(200, json={"id": file_id})

    def _create(self, request: httpx.Request) -> httpx.Response:
        if self.refusal is not None and len(self.batches) >= self.taken_before:
            return self.refusal
        key = request.headers["idempotency-key"]
        if key not in self._by_key:
            asked = orjson.loads(request.content)
            gone = [each for each in asked["files"] if each["file_id"] not in self.files]
            if gone:
                return problem(404, "file_not_found", param="files")
            batch_id = f"batch_{len(self.batches)}"
            lines = [{**each, "status": None, "number": None} for each in asked["files"]]
            self.batches[batch_id] = {"id": batch_id, "asked": asked, "lines": lines, "outcomes": 0}
            self._by_key[key] = batch_id
        return httpx.Response(200, json=self._public(self.batches[self._by_key[key]]))

    def _go_on(self, batch: dict[str, Any]) -> None:
        waiting = [line for line in batch["lines"] if line["status"] is None]
        for line in waiting[: self._ended_a_look]:
            _, content = self.files[line["file_id"]]
            self.calls[line["file_id"]] += 1
            fails = b"fail" in content and self.calls[line["file_id"]] == 1
            batch["outcomes"] += 1
            line["number"] = batch["outcomes"]
            line["status"] = "failed" if fails else "completed"

    def _retry(self, batch: dict[str, Any]) -> None:
        for line in batch["lines"]:
            if line["status"] == "failed":
                line["status"] = line["number"] = None

    def _results(self, batch: dict[str, Any], asked: httpx.QueryParams) -> httpx.Response:
        ended = [line for line in batch["lines"] if line["number"] is not None]
        after, limit = int(asked["after"]), int(asked["limit"])
        shown = sorted((x for x in ended if x["number"] > after), key=lambda x: x["number"])
        lines = [orjson.dumps(self._line(line)) + b"\n" for line in shown[:limit]]
        return httpx.Response(200, content=b"".join(lines))

    def _line(self, line: dict[str, Any]) -> dict[str, Any]:
        text = self.files[line["file_id"]][1].decode()
        body = {"data": {"text": text}} if line["status"] == "completed" else ERROR
        status_code = 200 if line["status"] == "completed" else 422
        return {
            "number": line["number"],
            "job_id": f"job_{line['file_id']}",
            "status": line["status"],
            "id": "batch_req_1",
            "custom_id": line["custom_id"],
            "response": {"status_code": status_code, "request_id": "job_1", "body": body},
            "error": None,
            "usage": {"input_tokens": 3, "output_tokens": 1, "cached_tokens": 0},
            "cost_usd": "0.25",
        }

    def _public(self, batch: dict[str, Any]) -> dict[str, Any]:
        states = Counter(line["status"] for line in batch["lines"])
        return {
            "id": batch["id"],
            "status": "in_progress" if states[None] else "completed",
            "errors": None,
            "request_counts": {
                "total": len(batch["lines"]),
                "completed": states["completed"],
                "failed": states["failed"],
            },
            "counts": {"failed": states["failed"], "expired": 0},
            "cost_usd": "0.5",
        }


ERROR = {"error": {"code": "broken_document", "message": "It ends too early.", "type": "x"}}


def problem(status: int, code: str, *, param: str | None = None) -> httpx.Response:
    """Return a refusal."""
    body = {"detail": f"It is {code}.", "code": code, "error": {"param": param}}
    return httpx.Response(status, json=body)


def paths(asked: list[tuple[str, str]], pattern: str) -> list[str]:
    """Return what was asked that fits a pattern, method first."""
    spelled = (f"{method} {path}" for method, path in asked)
    return [each for each in spelled if re.fullmatch(pattern, each)]
