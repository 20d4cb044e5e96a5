"""A stream is a success only if it came to its proper end."""

import orjson
import pytest
from pydantic import JsonValue

from shared.inference.response import InferenceChunk, LimitFeedback
from shared.inference.usage import Usage
from shared.providers import errors
from shared.providers.sse import EventTooLarge
from shared.providers.stream import StreamReader

USAGE: dict[str, JsonValue] = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
DONE = b"data: [DONE]\n\n"


def event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def piece(index: int = 0, finish: str | None = None, **more: JsonValue) -> bytes:
    choice = {"index": index, "delta": {"content": "x"}, "finish_reason": finish}
    return event({"id": "c", "choices": [choice], **more})


def read(*pieces: bytes, choices: int = 1, limit: int = 10_000) -> list[InferenceChunk]:
    reader = StreamReader(provider="p", choices=choices, max_event_bytes=limit)
    chunks = [chunk for piece in pieces for chunk in reader.feed(piece)]
    reader.close()
    return chunks


@pytest.mark.parametrize(
    ("pieces", "choices"),
    [
        ([piece(), piece(finish="stop"), DONE], 1),
        ([piece(), piece(finish="stop")], 1),
        ([piece(), DONE], 1),
        ([piece(0), piece(1), piece(0, "stop"), piece(1, "length")], 2),
        ([piece(finish="stop"), event({"choices": [], "usage": USAGE}), DONE], 1),
    ],
)
def test_a_stream_with_an_end_is_whole(pieces: list[bytes], choices: int) -> None:
    assert len(read(*pieces, choices=choices)) == sum(one != DONE for one in pieces)


@pytest.mark.parametrize(
    ("pieces", "choices"),
    [
        ([], 1),
        ([piece()], 1),
        ([piece(0, "stop")], 2),
        ([piece(0, "stop"), piece(1)], 2),
        ([piece(), piece(finish="stop")[:-1]], 1),
        ([event({"choices": [], "usage": USAGE})], 1),
    ],
)
def test_a_stream_that_breaks_off_is_no_success(pieces: list[bytes], choices: int) -> None:
    with pytest.raises(errors.Unavailable, match="broke off") as raised:
        read(*pieces, choices=choices)

    assert raised.value.sent
    assert raised.value.usage is None


@pytest.mark.parametrize(
    "pieces", [[DONE], [event({"choices": []}), DONE], [b'data: {"choices": [\n\n'], [event([1])]]
)
def test_a_stream_without_an_answer_is_malformed(pieces: list[bytes]) -> None:
    with pytest.raises(errors.Malformed):
        read(*pieces)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"message": "it broke"}}, errors.Unavailable),
        ({"error": {"code": 429}}, errors.RateLimited),
        ({"error": "words"}, errors.Unavailable),
        (
            {"choices": [{"index": 0, "error": {"code": 502, "message": "gone"}}]},
            errors.Unavailable,
        ),
    ],
)
def test_an_error_in_the_middle_is_raised_after_what_came_before(
    error: object, kind: type[errors.ProviderError]
) -> None:
    reader = StreamReader(provider="p", choices=1, max_event_bytes=10_000)
    fed = reader.feed(piece() + event(error))

    assert next(fed).data["id"] == "c"
    with pytest.raises(kind):
        next(fed)


def test_usage_and_feedback_ride_on_chunks() -> None:
    feedback = LimitFeedback(remaining_requests=1)
    reader = StreamReader(provider="p", choices=1, max_event_bytes=10_000, feedback=feedback)
    raw = piece() + piece(finish="stop", usage=None) + event({"choices": [], "usage": USAGE}) + DONE

    chunks = list(reader.feed(raw))

    assert [chunk.usage for chunk in chunks] == [None, None, Usage(3, 4)]
    assert [chunk.feedback for chunk in chunks] == [feedback, None, None]


def test_a_ping_is_skipped_and_a_bare_usage_kept() -> None:
    chunks = read(event({"type": "ping"}), piece(finish="stop"), event({"usage": USAGE}))

    assert [chunk.data.get("choices") for chunk in chunks[1:]] == [[]]
    assert chunks[1].usage == Usage(3, 4)


def test_nothing_after_done_is_read() -> None:
    assert len(read(piece(finish="stop") + DONE + b"data: rubbish\n\n")) == 1


def test_an_oversized_event_is_refused() -> None:
    with pytest.raises(EventTooLarge):
        read(piece(), event({"choices": [], "pad": "x" * 2000}), limit=1000)
