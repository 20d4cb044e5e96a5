"""How long a call to a real, slow provider may take, and whether it may have been seen."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from shared.providers import errors
from shared.providers.registry import build_provider
from shared.providers.transport import Timeouts, build_http
from tests.conformance.providers.conftest import Build, Caller
from tests.conformance.providers.vocabulary import Vocabulary
from tests.fakes.upstream_client import Upstream, rule


async def test_a_drip_ends_with_the_total_time(
    upstream: Upstream, build: Build, call: Caller
) -> None:
    upstream.script(rule("drip", interval_ms=20))

    with pytest.raises(errors.Timeout) as raised:
        await call(build(total_s=0.2, idle_read_s=10))

    assert raised.value.sent
    await asyncio.to_thread(upstream.wait, lambda now: now["in_flight"] == 0)
    assert upstream.calls()[-1]["client_gone"]


@pytest.mark.parametrize("timeouts", [{"total_s": 0.1}, {"idle_read_s": 0.1}])
async def test_silence_ends_in_time(
    upstream: Upstream,
    build: Build,
    call: Caller,
    timeouts: dict[str, float],
) -> None:
    upstream.script(rule("hang"))

    with pytest.raises(errors.Timeout) as raised:
        await call(build(**timeouts))

    assert raised.value.sent
    assert raised.value.possibly_billed


async def test_silence_in_the_middle_of_a_stream_ends_in_time(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("ok", chunk_delay_ms=60_000))
    provider = build(idle_read_s=0.1)

    stream = aiter(provider.stream(words.ask()))

    assert (await anext(stream)).data
    with pytest.raises(errors.Timeout):
        await anext(stream)


async def test_a_slow_consumer_is_not_blamed_on_the_provider(
    upstream: Upstream, build: Build, words: Vocabulary
) -> None:
    upstream.script(rule("ok"))
    seen = 0

    async for _ in build(total_s=0.15).stream(words.ask()):
        seen += 1
        await asyncio.sleep(0.05)

    assert seen >= 5


async def test_nobody_listening_means_not_sent(build: Build, call: Caller) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(errors.Unavailable) as raised:
            await call(build(base_url=f"http://127.0.0.1:{port}/v1"))

    assert not raised.value.sent
    assert not raised.value.consumes_attempt
    assert not raised.value.possibly_billed


async def test_an_unknown_host_means_not_sent(build: Build, call: Caller) -> None:
    with pytest.raises(errors.Unavailable) as raised:
        await call(build(base_url="http://no-such-host.invalid/v1"))

    assert not raised.value.sent


@pytest.fixture
def deaf() -> Iterator[str]:
    """Listen without ever accepting, with no room left for another connection."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield f"http://127.0.0.1:{address[1]}/v1"
        for one in waiting:
            one.close()


async def test_connecting_in_vain_means_not_sent(build: Build, call: Caller, deaf: str) -> None:
    with pytest.raises(errors.Unavailable) as raised:
        await call(build(base_url=deaf, connect_s=0.1))

    assert not raised.value.sent


async def test_waiting_for_a_place_in_vain_means_not_sent(
    upstream: Upstream, words: Vocabulary
) -> None:
    http = build_http(max_connections=1)
    timeouts = Timeouts(pool_s=0.05, connect_s=0.05)
    provider = build_provider(
        words.vendor,
        http=http,
        base_url=upstream.address(words.vendor),
        api_key=words.key,
        timeouts=timeouts,
    )
    upstream.script(rule("gate", times=1))
    before = upstream.stats()["calls"]
    first = asyncio.ensure_future(provider.generate(words.ask()))
    await asyncio.to_thread(upstream.wait, lambda now: now["gated"] == 1)

    with pytest.raises(errors.Unavailable) as raised:
        await provider.generate(words.ask())
    upstream.release()

    assert not raised.value.sent
    assert (await first).status_code == 200
    assert upstream.stats()["calls"] == before + 1
    await http.aclose()
