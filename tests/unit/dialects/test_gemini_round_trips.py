"""What Google's dialect can say comes back as it was, whole and in pieces."""

from dataclasses import replace
from typing import Any

from hypothesis import given

from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Head
from shared.inference.dialect import Dialect
from shared.inference.generation import Delta, GenerationRequest, GenerationResponse
from tests.unit.dialects.meaning import plain, said
from tests.unit.dialects.says import SAYS
from tests.unit.dialects.strategies import answers, requests
from tests.unit.dialects.streams import folded, streams

HEAD = Head("1", "some-model", 1_700_000_000)
CAN = SAYS[Dialect.GEMINI]
THINKS = replace(CAN, thinking=True)
"""Thoughts are told to who asks for them."""
ASKED: dict[str, Any] = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}


@given(requests(CAN))
def test_requests(request: GenerationRequest) -> None:
    written = GEMINI.write_request(request)

    assert plain(GEMINI.read_request(written.body), CAN) == plain(request, CAN)
    assert written.dropped == ()


@given(requests(CAN))
def test_requests_with_names_in_the_other_spelling(request: GenerationRequest) -> None:
    body = GEMINI.write_request(request).body

    assert GEMINI.read_request(_snake(body)) == GEMINI.read_request(body)


@given(answers(THINKS))
def test_answers(answer: GenerationResponse) -> None:
    written = GEMINI.write_answer(answer, HEAD, ASKED)

    assert said(GEMINI.read_answer(written), THINKS) == said(answer, THINKS)


@given(streams(THINKS))
def test_streams(stream: tuple[GenerationResponse, list[Delta]]) -> None:
    answer, deltas = stream
    encoder, joined = GEMINI.encoder(HEAD, ASKED), GEMINI.joined()
    decoder = GEMINI.decoder()

    events = [event for delta in deltas for event in encoder.write(delta)] + list(encoder.end())
    for event in events:
        joined.add(event)

    assert said(GEMINI.read_answer(joined.whole()), THINKS) == said(answer, THINKS)
    read = [delta for event in events for delta in decoder.read(event)]
    assert said(folded(read), THINKS) == said(answer, THINKS)


OPAQUE = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema"})


def _snake(value: Any) -> Any:
    if isinstance(value, list):
        return [_snake(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        _spelled(name): each if name in OPAQUE else _snake(each) for name, each in value.items()
    }


def _spelled(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
