"""Where a connection really goes: never to a private address, whatever a name says a moment later."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from shared.webhooks import egress
from shared.webhooks.delivery import Sender
from shared.webhooks.egress import Guard, open_session
from shared.webhooks.outcome import TryError
from tests.fakes.receiver import Receiver
from tests.integration.webhooks.certificates import Certificates
from tests.integration.webhooks.conftest import parcel, send

PUBLIC = "93.184.216.34"
Names = dict[str, list[list[str]]]


def guard_with(names: Names, *, allow_private: bool = False) -> Guard:
    """Return a guard whose names have these answers, one after the other; nothing leaves here."""

    def look_up(host: str, port: int, *_: object) -> Any:
        answers = names[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kinds = {False: socket.AF_INET, True: socket.AF_INET6}
        return [(kinds[":" in each], 1, 6, "", (each, port)) for each in found]

    def refuse(**_: object) -> Any:
        raise ConnectionRefusedError(111, "Connection refused")

    make = socket.socket if allow_private else refuse
    return Guard(allow_private=allow_private, lookup=look_up, make_socket=make)


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Receiver]]:
    """Return a function that starts an https receiver for a name."""
    certificates = Certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.file))
    started: list[Receiver] = []

    def start(host: str) -> Receiver:
        receiver = certificates.receiver(host)
        receiver.start()
        started.append(receiver)
        return receiver

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def inside(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A listener that strangers must not reach; only its address is in their way, not its port."""
    ports = frozenset({443, receiver.port})
    monkeypatch.setattr(egress, "_STRICT", replace(egress._STRICT, allowed_ports=ports))
    return receiver


def secure_url(receiver: Receiver, host: str) -> str:
    return f"https://{host}:{receiver.port}/hook"


async def test_the_listener_inside_counts_connections(inside: Receiver) -> None:
    guard = guard_with({"hooks.example": [["127.0.0.1"]]}, allow_private=True)

    await send(secure_url(inside, "hooks.example"), guard)

    assert inside.connects > 0


async def test_https_goes_to_the_judged_address_with_the_name_it_was_called(
    secure: Callable[[str], Receiver],
) -> None:
    receiver = secure("hooks.example")
    guard = guard_with({"hooks.example": [["127.0.0.1"]]}, allow_private=True)

    outcome = await send(receiver.url(host="hooks.example"), guard)

    assert (outcome.status_code, outcome.ip) == (200, "127.0.0.1")
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_certificate_for_another_name_ends_the_try(
    secure: Callable[[str], Receiver],
) -> None:
    receiver = secure("hooks.example")
    guard = guard_with({"other.example": [["127.0.0.1"]]}, allow_private=True)

    outcome = await send(receiver.url(host="other.example"), guard)

    assert outcome.error is TryError.TLS
    assert receiver.received == []


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.7"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
    ],
)
async def test_a_name_that_leads_inside_is_never_connected_to(
    inside: Receiver, answers: list[str]
) -> None:
    guard = guard_with({"hooks.example": [answers]})

    outcome = await send(secure_url(inside, "hooks.example"), guard)

    assert outcome.error is TryError.BLOCKED_ADDRESS
    assert outcome.ip is None
    assert not any(each in str(outcome) for each in answers)
    assert inside.connects == 0


async def test_a_name_that_is_bound_anew_is_judged_anew(inside: Receiver) -> None:
    url = secure_url(inside, "hooks.example")
    names: Names = {"hooks.example": [[PUBLIC], ["127.0.0.1"]]}
    guard = guard_with(names)
    session = open_session(guard, at_once=10)
    sender = Sender(session, guard, timeout_s=5)

    first = await sender.send(parcel(url))
    kept = await sender.send(parcel(url))
    session.connector.clear_dns_cache()  # type: ignore[union-attr]
    second = await sender.send(parcel(url))
    await session.close()

    # The public address refused (in this test nothing leaves the machine), twice with one look-up.
    assert (first.error, kept.error) == (TryError.CONNECTION, TryError.CONNECTION)
    assert first.ip == PUBLIC
    assert second.error is TryError.BLOCKED_ADDRESS
    assert inside.connects == 0


class LyingResolver(AbstractResolver):
    """Judges nothing."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": family}
        return [ResolveResult(**found, proto=0, flags=0)]  # type: ignore[typeddict-item]

    @override
    async def close(self) -> None:
        """Nothing is held."""


async def test_the_door_itself_refuses_what_a_resolver_let_pass(
    inside: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "GuardedResolver", lambda _guard: LyingResolver())

    outcome = await send(secure_url(inside, "hooks.example"), Guard(allow_private=False))

    assert outcome.error is TryError.BLOCKED_ADDRESS
    assert inside.connects == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"])
async def test_an_address_for_a_name_is_never_connected_to(inside: Receiver, host: str) -> None:
    outcome = await send(secure_url(inside, host), Guard(allow_private=False))

    assert outcome.error is TryError.BLOCKED_ADDRESS
    assert inside.connects == 0
