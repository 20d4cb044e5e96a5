"""The client of event streams: whatever the cuts, it hears each event once and to the end."""

import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from api.cli import events, watch
from api.cli.client import Client, RefusedError
from api.cli.errors import CommandError
from api.cli.events import Event, Parser, listen

Answer = Callable[[httpx.Request], httpx.Response]


def block(name: str, place: str | None = None, **data: Any) -> bytes:
    job = {"id": "job_1", "status": "running", "status_reason": None, "error": None, **data}
    head = f"id: {place}\n" if place else ""
    raw = orjson.dumps({"type": name, "data": job}).decode()
    return f"{head}event: {name}\ndata: {raw}\n\n".encode()


def said(text: str, place: str) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]}, {"choices": []}]
    return block("job.delta", place, chunks=chunks)


DONE = block("job.completed", "x.3.0", status="completed")
STREAM = (
    b"retry: 5\n" + block("snapshot", "x.2.0") + b": ping\n\n" + said("Gr\u00fc", "x.2.1") + DONE
)


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_come_whole_however_they_are_cut(cuts: list[int]) -> None:
    parser, found = Parser(), []
    marks = [0, *sorted(cuts), len(STREAM)]
    for first, last in pairwise(marks):
        found += parser.feed(STREAM[first:last])

    assert [each.type for each in found] == ["snapshot", "job.delta", "job.completed"]
    assert [each.id for each in found] == ["x.2.0", "x.2.1", "x.3.0"]
    assert found[0].retry_ms == 5


def test_other_servers_ways_are_understood() -> None:
    raw = b':\r\nevent:a\r\nretry: soon\r\ndata:{"data":\r\ndata: {"x": 1}}\r\n\r\n'

    (event,) = Parser().feed(raw)

    assert (event.type, event.data, event.retry_ms) == ("a", {"x": 1}, None)


class Broken(httpx.AsyncByteStream):
    """An answer that breaks off."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._raw
        raise httpx.ReadError("cut")


class Service:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.asked: list[str | None] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("last-event-id"))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client("http://penstock", "key", transport=httpx.MockTransport(self))

    async def heard(self, **options: Any) -> list[str]:
        async with self.client() as client:
            return [each.type async for each in listen(client, "job_1", **options)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RETRY_S", 0.001)


def stream(raw: bytes) -> httpx.Response:
    return httpx.Response(200, content=raw)


async def test_it_goes_on_where_it_was_cut() -> None:
    start = b"retry: 1\n" + block("snapshot", "x.2.0")
    service = Service(
        httpx.Response(200, stream=Broken(start + said("a", "x.2.1") + said("b", "x.2.2")[:40])),
        httpx.ConnectError("away"),
        httpx.Response(503, json={"detail": "full", "code": "too_many_event_streams"}),
        stream(said("b", "x.2.2") + block("reconnect", reason="life_limit")),
        stream(DONE),
    )

    assert await service.heard() == ["snapshot", "job.delta", "job.delta", "job.completed"]
    assert service.asked == [None, "x.2.1", "x.2.1", "x.2.1", "x.2.2"]


async def test_whoever_names_the_end_is_told_nothing() -> None:
    service = Service(httpx.Response(204))

    assert await service.heard(last_event_id="x.3.0") == []
    assert service.asked == ["x.3.0"]


@pytest.mark.parametrize("status", [401, 404, 410])
async def test_a_refusal_is_final(status: int) -> None:
    service = Service(httpx.Response(status, json={"detail": "no"}))

    with pytest.raises(RefusedError, match="no"):
        await service.heard()


async def test_nobody_there_is_said_at_once_and_somebody_lost_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CommandError, match="Nothing answers"):
        await Service(httpx.ConnectError("refused")).heard()

    monkeypatch.setattr(events, "PATIENCE_S", 0.05)
    gone = [httpx.ConnectError("refused")] * 10_000
    began = time.monotonic()
    with pytest.raises(CommandError, match="Nothing answers"):
        await Service(stream(block("snapshot", "x.2.0")), *gone).heard()
    assert time.monotonic() - began >= 0.05


def test_a_terminal_is_told_what_is_said_and_not_steered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = watch.Screen()
    for raw in (
        block("snapshot", "x.2.0"),
        said("one\x1b[2J\n", "x.2.1"),
        said("two", "x.2.2"),
        block("reset", reason="restarted"),
        block("snapshot", "x.3.0", status="waiting", status_reason="backoff"),
        said("whole", "x.4.1"),
        block("job.failed", "x.5.0", status="failed", error={"code": "c", "message": "m\x1b"}),
    ):
        for event in Parser().feed(raw):
            screen.show(event)

    out, err = capsys.readouterr()
    assert out == "one [2J\ntwo\nwhole\n"
    assert err.splitlines() == [
        "job_1 is running",
        "what was said above is void: it begins anew",
        "job_1 is waiting (backoff)",
        "job_1 is failed: c: m ",
    ]
    assert screen.status == "failed"


def test_only_the_first_choice_is_shown() -> None:
    choices = [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]
    delta = {"chunks": [{"choices": choices}, {"choices": None}, {"choices": [{"delta": None}]}]}

    assert "".join(watch.said(delta)) == "a"


def test_an_event_shows_its_data() -> None:
    assert Event("a", None, {"data": {"x": 1}}).data == {"x": 1}
