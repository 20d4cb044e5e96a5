"""What is written as OpenAI's Responses and read again is the same, whole and in pieces."""

from collections.abc import Sequence

from hypothesis import given

from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Head
from shared.inference.dialect import Dialect
from shared.inference.generation import Delta, GenerationRequest, GenerationResponse
from tests.unit.dialects.meaning import plain, said
from tests.unit.dialects.says import SAYS
from tests.unit.dialects.strategies import answers, requests
from tests.unit.dialects.streams import folded, streams

SAYS_IT = SAYS[Dialect.RESPONSES]
HEAD = Head("1", "team/model", 1_700_000_000)


@given(requests(SAYS_IT))
def test_a_request_is_read_as_it_was_written(asked: GenerationRequest) -> None:
    body = RESPONSES.write_request(asked).body
    assert plain(RESPONSES.read_request(body), SAYS_IT) == plain(asked, SAYS_IT)


@given(answers(SAYS_IT))
def test_an_answer_is_read_as_it_was_written(answer: GenerationResponse) -> None:
    body = RESPONSES.write_answer(answer, HEAD, {})
    assert said(RESPONSES.read_answer(body), SAYS_IT) == said(answer, SAYS_IT)


@given(streams(SAYS_IT))
def test_a_stream_says_what_its_answer_says(stream: tuple[GenerationResponse, list[Delta]]) -> None:
    answer, deltas = stream
    encoder, joined, decoder = RESPONSES.encoder(HEAD, {}), RESPONSES.joined(), RESPONSES.decoder()
    events = [event for delta in deltas for event in encoder.write(delta)]
    events += encoder.end()
    for event in events:
        joined.add(event)
    assert said(RESPONSES.read_answer(joined.whole()), SAYS_IT) == said(answer, SAYS_IT)
    read: Sequence[Delta] = [delta for event in events for delta in decoder.read(event)]
    assert said(folded(read), SAYS_IT) == said(answer, SAYS_IT)
