"""How a process of the fault tests is made to misbehave in ways that no setting offers.

`process.start(FAULTS_PATCH="blocks_its_loop")` calls the function of that name in the new process
before its program begins.
"""

import os
import signal
import socket
import time
from itertools import count
from typing import Any

import orjson

from shared.webhooks import egress
from shared.webhooks.egress import Guard
from workers.attempt import send
from workers.attempt.deltas import JobDeltas

BLOCKED_S = 60
HOSTS = {
    "inside.example.org": ("127.0.0.1",),
    "two-faced.example.org": ("93.184.215.14", "127.0.0.1"),
    "mapped.example.org": ("::ffff:127.0.0.1",),
    "translated.example.org": ("64:ff9b::7f00:1",),
}
"""Where names lead to: to an address that nothing must ever be sent to, somehow."""


def blocks_its_loop() -> None:
    """Hold the event loop up when a stream says BLOCK."""
    add = JobDeltas.add

    def blocking(self: JobDeltas, chunk: dict[str, Any], *, at_once: bool) -> None:
        if b"BLOCK" in orjson.dumps(chunk):
            time.sleep(BLOCKED_S)
        add(self, chunk, at_once=at_once)

    setattr(JobDeltas, "add", blocking)  # noqa: B010  mypy forbids to assign to a method


def dies_at_its_second_call() -> None:
    """Kill the process where its second call passes the failpoint that the test names."""
    point, passes = os.environ["PENSTOCK_FAULTS_POINT"], count(1)

    def failpoint(name: str) -> None:
        if name == point and next(passes) > 1:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(send, "failpoint", failpoint)  # noqa: B010  it is imported there, not exported


def knows_hostile_names() -> None:
    """Resolve names of the tests, and allow the port at which a test listens, and no address more."""
    port = int(os.environ["PENSTOCK_FAULTS_PORT"])
    strict = egress._STRICT
    egress._STRICT = type(strict)(
        allowed_schemes=strict.allowed_schemes,
        allowed_ports=frozenset({*egress.PUBLIC_PORTS, port}),
        max_url_length=egress.LONGEST_URL,
    )

    def lookup(host: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if host not in HOSTS:
            return socket.getaddrinfo(host, port, *rest, **more)
        found = []
        for address in HOSTS[host]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            found.append((family, socket.SOCK_STREAM, 6, "", (address, port)))
        return found

    defaults = Guard.__init__.__kwdefaults__
    assert defaults is not None
    defaults["lookup"] = lookup
