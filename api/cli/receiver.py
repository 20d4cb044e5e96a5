"""A receiver of webhooks for the demonstration: what `docs/webhooks.md` shows, run for once."""

import asyncio
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from typing_extensions import override

LOOK_EVERY_S = 0.05
MOST_BYTES = 1 << 20


class Receiver:
    """What was received: `events` by their id, each verified; `refused` counts what was not signed."""

    def __init__(self, secret: str) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.refused = 0
        self.url = ""
        self._webhook = Webhook(secret)

    def take(self, body: bytes, headers: dict[str, str]) -> bool:
        """Keep an event if its signature is right; the same event twice counts once."""
        try:
            event = self._webhook.verify(body, headers)
        except WebhookVerificationError:
            self.refused += 1
            return False
        self.events[event["id"]] = event
        return True

    async def heard_of(self, job_ids: Collection[str], *, patience_s: float) -> set[str]:
        """Return those of the jobs of which an event came, waiting for all of them for so long."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + patience_s
        while True:
            heard = {event["data"]["id"] for event in list(self.events.values())}
            if heard.issuperset(job_ids) or clock() > deadline:
                return heard.intersection(job_ids)
            await asyncio.sleep(LOOK_EVERY_S)


@contextmanager
def receiving(secret: str) -> Iterator[Receiver]:
    """Listen on a free port of this machine while this lasts."""
    receiver = Receiver(secret)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(receiver))
    receiver.url = f"http://127.0.0.1:{server.server_port}/webhook"
    thread = threading.Thread(target=server.serve_forever, name="receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler_of(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer as soon as the event is kept: who keeps a sender waiting is sent it again."""
            length = min(int(self.headers.get("content-length", 0)), MOST_BYTES)
            body = self.rfile.read(length)
            good = receiver.take(body, {name.lower(): text for name, text in self.headers.items()})
            self.send_response(HTTPStatus.NO_CONTENT if good else HTTPStatus.UNAUTHORIZED)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            # The demonstration prints what it has to say itself.
            pass

    return Handler
