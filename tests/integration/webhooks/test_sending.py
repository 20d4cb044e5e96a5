"""One try against a real receiver that answers as it should, or does its worst."""

import gzip
import socket
from typing import Any

import pytest

from shared.webhooks.delivery import KEPT_BYTES
from shared.webhooks.egress import Guard
from shared.webhooks.outcome import TryError
from tests.fakes.receiver import Answer, Receiver
from tests.integration.webhooks.conftest import BODY, open_sender, parcel, send


async def test_the_body_arrives_byte_for_byte(receiver: Receiver) -> None:
    receiver.script(Answer(202, b"thanks"))

    outcome = await send(receiver.url("/a/b?c=d"))

    (got,) = receiver.received
    assert (got.method, got.path, got.body) == ("POST", "/a/b?c=d", BODY)
    assert got.headers["webhook-id"] == "evt_1"
    assert got.headers["content-length"] == str(len(BODY))
    assert (outcome.status_code, outcome.response, outcome.ip) == (202, "thanks", "127.0.0.1")
    assert (outcome.error, outcome.error_message) == (None, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(receiver: Receiver, status: int) -> None:
    with Receiver() as elsewhere:
        receiver.script(Answer(status, location=elsewhere.url()))

        outcome = await send(receiver.url())

        assert outcome.status_code == status
        assert elsewhere.connects == 0


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (Answer(manner="endless_body"), 200, None),
        (Answer(500, manner="endless_body"), 500, None),
        (Answer(manner="endless_body", pause_s=0.01), 200, None),
        (Answer(manner="stalled_body", body=b"so far"), 200, None),
        (Answer(manner="endless_headers"), None, TryError.BAD_RESPONSE),
        (Answer(manner="endless_headers", pause_s=0.02), None, TryError.TIMEOUT),
        (Answer(delay_s=9), None, TryError.TIMEOUT),
        (Answer(headers={"x": "y" * 10_000}), None, TryError.BAD_RESPONSE),
    ],
)
async def test_an_answer_without_end_is_cut_short(
    receiver: Receiver, answer: Answer, status: int | None, error: TryError | None
) -> None:
    receiver.script(answer)

    outcome = await send(receiver.url(), timeout_s=0.5)

    assert (outcome.status_code, outcome.error) == (status, error)
    assert outcome.total_ms < 2_000
    assert len((outcome.response or "").encode()) <= KEPT_BYTES
    # What lay in buffers on the way, not five gigabytes.
    assert receiver.bytes_sent < 32 * 1024 * 1024
    assert len(receiver.received) == 1


async def test_a_small_part_of_an_answer_is_kept_legibly(receiver: Receiver) -> None:
    receiver.script(Answer(500, b"a\x00b\xff\xfe" + "é".encode() * 5000))

    outcome = await send(receiver.url())

    assert outcome.response is not None
    assert outcome.response.startswith("ab��é")
    assert KEPT_BYTES - 4 < len(outcome.response.encode()) <= KEPT_BYTES


async def test_a_compressed_answer_stays_packed(receiver: Receiver) -> None:
    bomb = gzip.compress(b"\x00" * 50_000_000)
    receiver.script(Answer(200, bomb, {"content-encoding": "gzip"}))

    outcome = await send(receiver.url())

    assert (outcome.status_code, outcome.response) == (200, None)
    assert receiver.received[0].headers["accept-encoding"] != "gzip"


@pytest.mark.parametrize("manner", ["close", "reset"])
async def test_a_connection_that_breaks_at_once_is_tried_once_more(
    receiver: Receiver, manner: Any
) -> None:
    receiver.script(Answer(manner=manner), Answer(200))
    assert (await send(receiver.url())).status_code == 200
    assert len(receiver.received) == 2

    receiver.script(*[Answer(manner=manner)] * 3)
    assert (await send(receiver.url())).error is TryError.CONNECTION
    assert len(receiver.received) == 4


async def test_one_that_breaks_later_is_not(receiver: Receiver) -> None:
    receiver.script(Answer(manner="close", delay_s=1.1), Answer(200))

    outcome = await send(receiver.url())

    assert outcome.error is TryError.CONNECTION
    assert len(receiver.received) == 1


async def test_a_refused_connection_has_an_address(receiver: Receiver) -> None:
    receiver.pause()

    outcome = await send(receiver.url())

    assert (outcome.status_code, outcome.error) == (None, TryError.CONNECTION)
    assert outcome.ip == "127.0.0.1"


async def test_a_connection_is_kept_for_the_next_and_its_address_known(receiver: Receiver) -> None:
    async with open_sender() as sender:
        outcomes = [await sender.send(parcel(receiver.url())) for _ in range(3)]

    assert receiver.connects == 1
    assert {each.ip for each in outcomes} == {"127.0.0.1"}


async def test_no_cookie_goes_back(receiver: Receiver) -> None:
    receiver.script(Answer(200, headers={"set-cookie": "session=1"}))
    async with open_sender() as sender:
        await sender.send(parcel(receiver.url()))
        await sender.send(parcel(receiver.url()))

    assert "cookie" not in receiver.received[1].headers


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert (await send(receiver.url())).status_code == 200
        assert proxy.connects == 0


async def test_a_name_without_address_says_so() -> None:
    def look_up(*_: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    outcome = await send("http://no.example/", Guard(allow_private=True, lookup=look_up))

    assert (outcome.error, outcome.ip) == (TryError.DNS, None)
