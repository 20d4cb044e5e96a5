"""Every dialect alone, and every pair: what both can say survives the way through both."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dialects.registry import TRANSLATORS
from shared.dialects.translator import Head, Translator
from shared.inference.dialect import Dialect
from shared.inference.generation import Delta
from tests.unit.dialects.meaning import plain, said
from tests.unit.dialects.says import SAYS
from tests.unit.dialects.strategies import answers, requests
from tests.unit.dialects.streams import folded, streams

HEAD = Head("a1", "client-model", 1_700_000_000)
ASKED = {"model": "client-model", "messages": [{"role": "user", "content": "hi"}]}
TRIED = [dialect for dialect in TRANSLATORS if dialect in SAYS]
ALONE = [pytest.param(dialect, id=dialect) for dialect in TRIED]
PAIRS = [
    pytest.param(one, other, id=f"{one}-{other}")
    for one in TRIED
    for other in TRIED
    if one is not other
]


def sent(value: Any) -> Any:
    """Return a value as it arrives: it must be JSON."""
    return orjson.loads(orjson.dumps(value))


def encoded(translator: Translator, deltas: Iterable[Delta]) -> list[dict[str, Any]]:
    encoder = translator.encoder(HEAD, ASKED)
    events = [event for delta in deltas for event in encoder.write(delta)]
    return [sent(event) for event in (*events, *encoder.end())]


def decoded(translator: Translator, events: Iterable[dict[str, Any]]) -> list[Delta]:
    decoder = translator.decoder()
    return [delta for event in events for delta in decoder.read(event)]


def joined(translator: Translator, events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    whole = translator.joined()
    for event in events:
        whole.add(event)
    return dict(sent(whole.whole()))


@pytest.mark.parametrize("dialect", ALONE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_request_is_read_as_it_was_meant(dialect: Dialect, data: st.DataObject) -> None:
    says, its = SAYS[dialect], TRANSLATORS[dialect]
    request = data.draw(requests(says))

    written = its.write_request(request)

    assert written.dropped == ()
    assert plain(its.read_request(sent(written.body)), says) == plain(request, says)


@pytest.mark.parametrize("dialect", ALONE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_answer_is_read_as_it_was_meant(dialect: Dialect, data: st.DataObject) -> None:
    says, its = SAYS[dialect], TRANSLATORS[dialect]
    answer = data.draw(answers(says))

    read = its.read_answer(sent(its.write_answer(answer, HEAD, ASKED)))

    assert said(read, says) == said(answer, says)
    assert read.model == HEAD.model


@pytest.mark.parametrize("dialect", ALONE)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stream_says_what_the_whole_answer_does(dialect: Dialect, data: st.DataObject) -> None:
    says, its = SAYS[dialect], TRANSLATORS[dialect]
    answer, deltas = data.draw(streams(says))

    events = encoded(its, deltas)

    assert said(its.read_answer(joined(its, events)), says) == said(answer, says)
    assert said(folded(decoded(its, events)), says) == said(answer, says)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_request_survives_both(one: Dialect, other: Dialect, data: st.DataObject) -> None:
    says = SAYS[one] & SAYS[other]
    request = read = data.draw(requests(says))

    for its in (TRANSLATORS[one], TRANSLATORS[other]):
        read = its.read_request(sent(its.write_request(read).body))

    assert plain(read, says) == plain(request, says)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_an_answer_survives_both(one: Dialect, other: Dialect, data: st.DataObject) -> None:
    says = SAYS[one] & SAYS[other]
    answer = read = data.draw(answers(says))

    for its in (TRANSLATORS[one], TRANSLATORS[other]):
        read = its.read_answer(sent(its.write_answer(read, HEAD, ASKED)))

    assert said(read, says) == said(answer, says)


@pytest.mark.parametrize(("one", "other"), PAIRS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_stream_survives_both(one: Dialect, other: Dialect, data: st.DataObject) -> None:
    says = SAYS[one] & SAYS[other]
    answer, deltas = data.draw(streams(says))
    heard: Sequence[Delta] = deltas
    events: list[dict[str, Any]] = []

    for its in (TRANSLATORS[one], TRANSLATORS[other]):
        events = encoded(its, heard)
        heard = decoded(its, events)

    whole = TRANSLATORS[other].read_answer(joined(TRANSLATORS[other], events))
    assert said(whole, says) == said(folded(heard), says) == said(answer, says)


def test_every_dialect_of_generation_is_tried() -> None:
    assert set(TRIED) == set(TRANSLATORS)
