"""Webhooks to where nothing must be sent: a listener inside counts connections (scenario 58, I11)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.fakes.receiver import Answer
from tests.faults import oracle
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.sse import FINAL

INSIDE = "127.0.0.1"
URLS = (
    "https://127.0.0.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://127.1:{port}/",
    "https://localhost:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://inside.example.org:{port}/",
    "https://two-faced.example.org:{port}/",
    "https://mapped.example.org:{port}/",
    "https://translated.example.org:{port}/",
)
"""All of them lead inside, in one way or another."""


class Listener:
    """Counts who connects, and answers nothing."""

    def __init__(self) -> None:
        self.connects = 0
        self._server = socket.create_server((INSIDE, 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connects += 1
                connection.close()


@pytest.fixture
def inside() -> Iterator[Listener]:
    """Something of ours that nobody outside may talk to."""
    listener = Listener()
    yield listener
    listener.close()


def test_no_connection_is_opened_inside(service: Service, inside: Listener) -> None:
    # The API lets every URL in here: what counts is the way out.
    _restart_worker(service, inside, WEBHOOK_ALLOW_PRIVATE="false")
    for url in URLS:
        text, hook = service.client.unique_text(), {"url": url.format(port=inside.port)}
        reply = service.client.post("open", text, webhook=hook)
        assert reply.status in (202, 400), reply
        if reply.status == 202:
            service.client.remember(reply, "open", text).hears = frozenset(FINAL)

    cases = oracle.settle(service)

    assert len(cases) >= len(URLS) - 4, "the API refused them before they were tried"
    assert inside.connects == 0
    tries = [row for case in cases for row in case.tries]
    assert {row["error"] for row in tries} == {"blocked_address"}
    assert not any(row["ip"] for row in tries)
    assert {row["state"] for case in cases for row in case.deliveries} == {"failed"}


def test_they_do_lead_inside(service: Service, inside: Listener) -> None:
    """Where private addresses are allowed, the same names arrive: the listener does count."""
    _restart_worker(service, inside)
    for name in ("127.0.0.1", "inside.example.org"):
        url = f"https://{name}:{inside.port}/"
        service.client.submit(webhook={"url": url})
        until(lambda: inside.connects, f"{name} leads inside")
        inside.connects = 0
    oracle.settle(service)


def test_the_api_refuses_what_it_can_see(service: Service, inside: Listener) -> None:
    service.api.stop()
    service.api.start(WEBHOOK_ALLOW_PRIVATE="false")
    service.await_api()

    for url in (*URLS[:9], "http://example.com/", "https://u:p@example.com/", "ftp://example.com/"):
        hook = {"url": url.format(port=443), "events": ["job.completed"]}
        reply = service.client.post("open", service.client.unique_text(), webhook=hook)
        assert (reply.status, reply.body["code"]) == (400, "invalid_webhook_url"), url
        given = {"name": "inside", "url": hook["url"]}
        assert service.client.call("POST", "/v1/webhook_endpoints", given).status == 400, url


def test_a_redirect_is_not_followed(service: Service, inside: Listener) -> None:
    away = Answer(301, location=f"http://127.0.0.1:{inside.port}/latest/meta-data")
    service.receiver.script(away, away, path="/away")
    service.client.submit(webhook={"url": service.receiver.url("/away")})

    (case,) = oracle.settle(service)

    assert [row["status_code"] for row in case.tries] == [301, 301, 200]
    assert inside.connects == 0


def _restart_worker(service: Service, inside: Listener, **settings: str) -> None:
    service.worker.stop()
    service.worker.start(
        FAULTS_PATCH="knows_hostile_names",
        FAULTS_PORT=str(inside.port),
        WEBHOOK_SCHEDULE_S="[0.1]",
        **settings,
    )
