"""Whatever can be said in Anthropic's words is read back as it was: requests, answers, streams."""

from hypothesis import given

from shared.dialects.messages.translator import MESSAGES
from shared.dialects.translator import Head
from shared.inference.dialect import Dialect
from shared.inference.generation import Delta, GenerationRequest, GenerationResponse
from tests.unit.dialects.meaning import plain, said
from tests.unit.dialects.says import SAYS
from tests.unit.dialects.strategies import answers, requests
from tests.unit.dialects.streams import folded, streams

SPEAKS = SAYS[Dialect.MESSAGES]
HEAD = Head("1", "a-model", 1_700_000_000)


@given(requests(SPEAKS))
def test_requests_are_read_as_they_were_written(request: GenerationRequest) -> None:
    written = MESSAGES.write_request(request)

    assert plain(MESSAGES.read_request(written.body), SPEAKS) == plain(request, SPEAKS)
    assert written.dropped == ()


@given(requests(SPEAKS))
def test_turns_alternate_and_none_is_empty(request: GenerationRequest) -> None:
    turns = MESSAGES.write_request(request).body["messages"]

    roles = [turn["role"] for turn in turns]
    assert roles == [("user", "assistant")[place % 2] for place in range(len(roles))]
    assert all(turn["content"] for turn in turns)


@given(answers(SPEAKS))
def test_answers_are_read_as_they_were_written(answer: GenerationResponse) -> None:
    written = MESSAGES.write_answer(answer, HEAD, {})

    assert said(MESSAGES.read_answer(written), SPEAKS) == said(answer, SPEAKS)


@given(streams(SPEAKS))
def test_streams_say_what_the_whole_answer_says(
    stream: tuple[GenerationResponse, list[Delta]],
) -> None:
    answer, deltas = stream
    encoder, decoder, joined = MESSAGES.encoder(HEAD, {}), MESSAGES.decoder(), MESSAGES.joined()

    events = [event for delta in deltas for event in encoder.write(delta)] + [*encoder.end()]
    for event in events:
        joined.add(event)

    assert said(MESSAGES.read_answer(joined.whole()), SPEAKS) == said(answer, SPEAKS)
    decoded = [delta for event in events for delta in decoder.read(event)]
    assert said(folded(decoded), SPEAKS) == said(answer, SPEAKS)


@given(streams(SPEAKS))
def test_blocks_come_one_after_another(stream: tuple[GenerationResponse, list[Delta]]) -> None:
    encoder = MESSAGES.encoder(HEAD, {})
    events = [event for delta in stream[1] for event in encoder.write(delta)] + [*encoder.end()]

    open_block, begun = None, -1
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert open_block is None
            open_block = begun = begun + 1
        assert event["index"] == open_block
        if event["type"] == "content_block_stop":
            open_block = None
    assert open_block is None
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
