"""Many clients of event streams, slow ones, and those behind a proxy (scenarios 17, 64, 65)."""

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import orjson
import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle, telling
from tests.faults.buffering_proxy import BufferingProxy
from tests.faults.client import Accepted
from tests.faults.crowd import Crowd
from tests.faults.polling import until
from tests.faults.processes import memory_mb
from tests.faults.service import Service

CROWD = 500
IDLE = 2000
LAZY = 20
IN_ORDER = (0, -signal.SIGTERM)
SQLITE_ONLY = pytest.mark.parametrize("service", ["sqlite"], indirect=True)


def test_a_stopped_api_says_goodbye_and_its_crowd_goes_on_elsewhere(service: Service) -> None:
    service.api_2.start()
    service.await_api()
    words = "".join(f"word {n:02} " for n in range(60))
    texts = [service.client.unique_text() for _ in range(5)]
    service.upstream.script(
        *(rule("ok", chunk_delay_ms=100, marker=text, content=text + words) for text in texts)
    )
    jobs = [service.client.submit(text=text, body={"stream": True}) for text in texts]
    crowd = Crowd(service.client.key, [job.id for job in jobs] * (CROWD // len(jobs)))

    took_s = asyncio.run(_stop_under(service, crowd))

    assert took_s < 5
    goodbyes = [
        event.data["data"]["reason"]
        for each in crowd.members
        for event in each.events
        if event.name == "reconnect"
    ]
    assert goodbyes == ["shutdown"] * CROWD
    assert not crowd.unfinished()
    found = [
        violation
        for each in crowd.members
        for violation in (
            *telling.in_order(each.events),
            *telling.same_again(each.events),
        )
    ]
    assert not found, found[:10]
    # Nobody was told a thing twice, or anew.
    assert {event.name for each in crowd.members for event in each.events} <= {
        "snapshot",
        "job.queued",
        "job.started",
        "job.delta",
        "job.completed",
        "reconnect",
    }
    assert all([e.name for e in each.events].count("snapshot") == 1 for each in crowd.members)
    service.api.start()
    service.await_api()
    oracle.settle(service)


async def _stop_under(service: Service, crowd: Crowd) -> float:
    """Stop the API when everybody has heard something; let them come back to the other one.

    Return after how many seconds the last connection had ended.
    """
    listening = asyncio.create_task(crowd.listen(service.client.port))
    for _ in range(600):
        await asyncio.sleep(0.02)
        if all(any(e.name == "job.delta" for e in each.events) for each in crowd.members):
            break
        if listening.done():
            # With the error that ended it.
            await listening
            break
    else:
        raise AssertionError(f"only {crowd.open} of {CROWD} hear something")
    told_at = time.monotonic()
    service.api.terminate()
    await listening
    took_s = time.monotonic() - told_at
    assert await asyncio.to_thread(service.api.wait) in IN_ORDER
    await crowd.listen(service.client_2.port)
    return took_s


@SQLITE_ONLY
def test_a_client_that_stops_reading_is_cut_off(service: Service) -> None:
    service.api.stop()
    service.api.start(SSE_SEND_TIMEOUT_S="1")
    service.await_api()
    service.upstream.script(rule("gate"))
    job = service.client.submit(body={"stream": True})
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.client.hang_up(job)
    key = _speak_for_it(service, job)
    before = _api_mb(service)

    lazy = [_connect(service, job.id) for _ in range(LAZY)]

    until(lambda: _clients(service) == LAZY, "all of them listen")
    began = time.monotonic()
    until(lambda: _clients(service) == 0, "all of them were cut off", within_s=15)
    assert time.monotonic() - began > 0.5, "they were not given the time"
    assert _api_mb(service) - before < 100, "what they do not read is kept for them"
    for each in lazy:
        each.close()
    with service.redis_client() as client:
        client.delete(key)
    service.upstream.release()
    oracle.settle(service)


def _speak_for_it(service: Service, job: Accepted) -> str:
    """Write more into a running job's log than all the buffers on the way can hold; return its key."""
    key = f"penstock:deltas:{job.id}"
    (row,) = service.sql.rows("SELECT version FROM job WHERE id = ?", job.id)
    chunk = orjson.dumps([{"choices": [{"index": 0, "delta": {"content": "x" * 16_000}}]}])
    with service.redis_client() as client:
        for number in range(1, 800):
            client.xadd(key, {"l": b"0", "c": chunk}, id=f"{row['version']}-{number}")
    return key


@SQLITE_ONLY
def test_two_thousand_idle_clients(service: Service) -> None:
    service.upstream.script(rule("gate"))
    jobs = service.client.submit_many(4)
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    crowd = Crowd(service.client.key, [job.id for job in jobs] * (IDLE // 4))
    before = _api_mb(service)

    grown = asyncio.run(_idle(service, crowd, before))

    assert grown < 100, f"{IDLE} clients took {grown} MB"
    assert not crowd.unfinished()
    assert all(each.comments for each in crowd.members), "somebody got no sign of life"
    oracle.settle(service)


async def _idle(service: Service, crowd: Crowd, before: int) -> int:
    listening = asyncio.create_task(crowd.listen(service.client.port))
    for _ in range(1000):
        await asyncio.sleep(0.02)
        if crowd.open == IDLE and all(each.comments for each in crowd.members):
            break
    grown = _api_mb(service) - before
    await asyncio.to_thread(service.upstream.release)
    await asyncio.wait_for(listening, 20)
    return grown


@pytest.fixture
def proxy(service: Service) -> Iterator[BufferingProxy]:
    with BufferingProxy(service.client.port) as between:
        yield between


def test_behind_a_proxy_that_buffers(service: Service, proxy: BufferingProxy) -> None:
    service.upstream.script(rule("gate", times=2))
    job = service.client.submit(body={"stream": True})
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    began = time.monotonic()

    with closing(socket.create_connection(("127.0.0.1", proxy.port))) as connection:
        connection.settimeout(5)
        _ask(connection, service, f"/v1/jobs/{job.id}/events")
        seen = _read_until(connection, b"event: snapshot")
        assert time.monotonic() - began < 1
        assert b": ping" in seen + _read_until(connection, b": ping")
        assert time.monotonic() - began < 5, "PENSTOCK_SSE_PING_S is a second here"

    chat = type(service.client)(proxy.port, service.client.key).chat(service.client.unique_text())
    service.upstream.wait(lambda seen: seen["gated"] == 2)
    service.upstream.release()
    assert chat.over.wait(10)
    assert chat.done
    oracle.settle(service)


def test_the_proxy_of_the_tests_does_buffer(service: Service, proxy: BufferingProxy) -> None:
    """It holds back what does not forbid it, or the test above would prove nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as origin:
        proxy._target = origin.getsockname()[1]
        with closing(socket.create_connection(("127.0.0.1", proxy.port))) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            answering, _ = origin.accept()
            answering.recv(1000)
            answering.sendall(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(1)
            answering.close()
            client.settimeout(5)
            assert _read_until(client, b"data: 1")


def _api_mb(service: Service) -> int:
    return max(memory_mb(pid) for pid in service.api.members())


def _clients(service: Service) -> int:
    assert service.api.running
    reply = service.client.text("/metrics")
    (line,) = [each for each in reply.splitlines() if each.startswith("penstock_sse_clients")]
    return int(float(line.split()[-1]))


def _connect(service: Service, job_id: str) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", service.client.port))
    _ask(connection, service, f"/v1/jobs/{job_id}/events", last_id=f"{job_id[-8:]}.2.0")
    return connection


def _ask(connection: socket.socket, service: Service, path: str, *, last_id: str = "") -> None:
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {service.client.key}"]
    lines += [f"Last-Event-ID: {last_id}"] if last_id else []
    connection.sendall("\r\n".join([*lines, "", ""]).encode())


def _read_until(connection: socket.socket, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        more = connection.recv(1 << 16)
        assert more, f"it ended: {seen!r}"
        seen += more
    return seen
