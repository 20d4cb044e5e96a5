"""What a stream of Anthropic's events looks like, beyond what it says."""

import pytest

from shared.inference.usage import Usage
from tests.conformance.providers.conftest import Subject
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.parametrize("subject", ["anthropic"], indirect=True)


async def test_events_come_in_their_order_and_pings_not_at_all(subject: Subject) -> None:
    chunks = await subject.collect(subject.ask())

    first, *blocks, last, stop = [chunk.data["type"] for chunk in chunks]
    assert (first, last, stop) == ("message_start", "message_delta", "message_stop")
    assert blocks[0] == "content_block_start"
    assert set(blocks[1:-1]) == {"content_block_delta"}
    assert blocks[-1] == "content_block_stop"


async def test_only_the_end_tells_a_usage(subject: Subject, upstream: Upstream) -> None:
    used = {
        "input_tokens": 3,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
    }
    upstream.script(rule("ok", usage=used))

    whole = await subject.provider.generate(subject.ask())
    chunks = await subject.collect(subject.ask())

    expected = Usage(123, 7, cached_tokens=100, cache_write_tokens=20)
    assert whole.usage == expected
    assert [chunk.usage for chunk in chunks] == [*[None] * (len(chunks) - 2), expected, None]


async def test_tokens_are_counted_as_the_provider_counts_them(subject: Subject) -> None:
    request = subject.ask("echo", "x" * 400, max_tokens=10, stop=("END",))

    assert await subject.provider.count(request) == 100 + 3
