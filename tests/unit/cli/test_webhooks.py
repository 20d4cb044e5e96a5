"""`penstock webhooks`, against an API that answers as ours does."""

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from typing_extensions import override

from api.cli import __main__ as command_line

ENDPOINT = {
    "id": "whe_1",
    "name": "results\x1b[31m",
    "url": "https://example.com/hook",
    "event_types": [],
    "enabled": False,
    "disabled_reason": "410",
    "failures": 3,
    "signing_secret": "whsec_abc",
}
DELIVERY = {
    "id": "dlv_1",
    "state": "pending",
    "event_type": "job.completed",
    "job_id": "job_1",
    "url": "https://example.com/hook",
    "try_count": 2,
    "created_at": "2026-01-01T00:00:00.000Z",
    "next_try_at": None,
    "tries": [{"response": "\x1b[31mred"}],
}
ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/v1/webhook_endpoints?limit=100"): {"data": [ENDPOINT]},
    ("POST", "/v1/webhook_endpoints"): ENDPOINT,
    ("POST", "/v1/webhook_endpoints/whe_1"): ENDPOINT,
    ("POST", "/v1/webhook_endpoints/whe_1/rotate_secret"): ENDPOINT,
    ("POST", "/v1/webhook_endpoints/whe_1/test"): {"status_code": 204},
    ("POST", "/v1/webhook_endpoints/whe_1/recover"): {"recovered": 7, "has_more": True},
    ("GET", "/v1/webhook_deliveries?limit=5&job_id=job_1&state=pending"): {"data": [DELIVERY]},
    ("GET", "/v1/webhook_deliveries/dlv_1"): DELIVERY,
    ("POST", "/v1/webhook_deliveries/dlv_1/resend"): DELIVERY,
}


class Service(HTTPServer):
    """Answers what is in `ANSWERS`, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append((self.command, self.path, body))
        answer = json.dumps(ANSWERS[self.command, self.path]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        Thread(target=service.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield service
        service.shutdown()


SINCE = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "body", "out"),
    [
        (["list"], None, ["results [31m", "all", "no: 410", "3"]),
        (
            ["create", "https://example.com/hook", "--event", "job.failed", "--name", "n"],
            {"name": "n", "url": "https://example.com/hook", "event_types": ["job.failed"]},
            ["whsec_abc\n"],
        ),
        (["rotate", "whe_1"], {"keep_old_secret_active_for_24_hours": True}, ["whsec_abc\n"]),
        (
            ["rotate", "whe_1", "--no-keep-old"],
            {"keep_old_secret_active_for_24_hours": False},
            ["whsec_abc\n"],
        ),
        (["enable", "whe_1"], {"enabled": True}, ["whe_1 is enabled"]),
        (["test", "whe_1"], {"event_type": "job.completed"}, ["whe_1 answered 204"]),
        (
            ["recover", "whe_1", "--since", SINCE],
            {"since": SINCE},
            ["7 deliveries are sent again; there are more"],
        ),
        (
            ["deliveries", "--job", "job_1", "--state", "pending", "--limit", "5"],
            None,
            ["dlv_1", "job.completed", "2026-01-01", "–"],
        ),
        (["show", "dlv_1"], None, ["\\u001b[31mred"]),
        (["resend", "dlv_1"], None, ["dlv_1 is pending"]),
    ],
)
def test_a_command_asks_and_tells(
    *,
    service: Service,
    arguments: list[str],
    body: Any,
    out: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--url", f"http://127.0.0.1:{service.server_port}", "--key", "pk_x"]
    monkeypatch.setattr(sys, "argv", ["penstock", "webhooks", *arguments, *where])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    said = capsys.readouterr().out
    assert not ended.value.code, said
    assert [each[2] for each in service.asked] == [body]
    assert [each for each in out if each not in said] == []
    assert "\x1b" not in said
