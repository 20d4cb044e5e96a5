"""Whatever is wrong with a request, its sender is told; whatever is wrong with an answer is caught."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.dialects.bridge import PREFERENCE, Bridge
from shared.dialects.registry import TRANSLATORS
from shared.dialects.translator import Head, Unreadable, Unsupported
from shared.inference.dialect import Dialect
from tests.unit.dialects.mutations import mutated
from tests.unit.dialects.says import SAYS
from tests.unit.dialects.strategies import answers, requests
from tests.unit.dialects.streams import streams

HEAD = Head("a1", "client-model", 1_700_000_000)
CAUGHT = (ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What the worker takes for an answer that is none."""
PAIRS = [
    pytest.param(client, provider, id=f"{client}-{provider}")
    for client in TRANSLATORS
    for provider in PREFERENCE
    if provider in TRANSLATORS and client is not provider
]


@pytest.mark.parametrize(("client", "provider"), PAIRS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_strange_request_is_read_or_refused(
    client: Dialect, provider: Dialect, data: st.DataObject
) -> None:
    request = data.draw(requests(SAYS[client]))
    body = data.draw(mutated({"model": "m", **TRANSLATORS[client].write_request(request).body}))

    with suppress(Unreadable, Unsupported):
        Bridge(client, provider).request(body)


@pytest.mark.parametrize(("client", "provider"), PAIRS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_strange_answer_is_told_or_caught(
    client: Dialect, provider: Dialect, data: st.DataObject
) -> None:
    answer = data.draw(answers(SAYS[provider]))
    body = data.draw(mutated(TRANSLATORS[provider].write_answer(answer, HEAD, {})))

    with suppress(*CAUGHT):
        Bridge(client, provider).answer(body, HEAD, {})


@pytest.mark.parametrize(("client", "provider"), PAIRS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_strange_stream_is_told_or_caught(
    client: Dialect, provider: Dialect, data: st.DataObject
) -> None:
    _, deltas = data.draw(streams(SAYS[provider]))
    encoder = TRANSLATORS[provider].encoder(HEAD, {})
    events: list[dict[str, Any]] = [event for delta in deltas for event in encoder.write(delta)]
    events += encoder.end()
    place = data.draw(st.integers(0, len(events) - 1))
    events[place] = data.draw(mutated(events[place]))
    bridge, joined = Bridge(client, provider).stream(HEAD, {}), TRANSLATORS[client].joined()

    with suppress(*CAUGHT):
        for event in events:
            for told in bridge.feed(event):
                joined.add(told)
        for told in bridge.end():
            joined.add(told)
        joined.whole()
