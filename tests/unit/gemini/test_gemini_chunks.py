"""Google's streams byte by byte: its clients take every byte too many for a broken answer."""

from typing import Any

import orjson
import pytest

from api.gemini.chunks import ArrayChunks, EventChunks
from shared.errors import Unavailable

CALL = {"functionCall": {"name": "weather", "args": {"city": "Rome"}}}


def chunk(*parts: dict[str, Any], index: int = 0, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": index, "content": {"role": "model", "parts": [*parts]}}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"text": said, **more}


def sent(raw: bytes) -> list[dict[str, Any]]:
    blocks = raw.split(b"\r\n\r\n")
    assert blocks.pop() == b""
    assert all(each.startswith(b"data: ") and b"\n" not in each for each in blocks)
    return [orjson.loads(each.removeprefix(b"data: ")) for each in blocks]


def test_events_are_data_lines_and_nothing_else() -> None:
    framing = EventChunks()
    said = chunk(text("hel"))

    assert framing.opening() == b""
    assert framing.keep_alive == b""
    assert framing.encode(orjson.dumps([said])) == b"data: " + orjson.dumps(said) + b"\r\n\r\n"
    assert framing.end() == b""
    assert framing.begun


def test_line_separators_of_unicode_are_escaped() -> None:
    raw = EventChunks().encode(orjson.dumps([chunk(text("a\u2028b\u0085c ü"))]))

    assert raw.isascii()
    assert sent(raw)[0]["candidates"][0]["content"]["parts"] == [text("a\u2028b\u0085c ü")]


def test_an_array_is_valid_json_however_much_came() -> None:
    one, two = chunk(text("hel")), chunk(text("lo"), finish="STOP")
    framing = ArrayChunks()
    raw = framing.keep_alive
    raw += framing.encode(orjson.dumps([one])) + framing.keep_alive
    raw += framing.encode(orjson.dumps([two])) + framing.end()

    assert orjson.loads(raw) == [one, two]
    assert orjson.loads(ArrayChunks().end()) == []


@pytest.mark.parametrize("framing", [EventChunks(), ArrayChunks()])
def test_a_failure_is_an_object_with_error(framing: EventChunks | ArrayChunks) -> None:
    raw = framing.encode(orjson.dumps([chunk(text("hel"))]))
    assert not framing.broken
    raw += framing.failed(Unavailable("Too much.", retry_after_s=13), {"type": "http"})
    told = orjson.loads(raw) if isinstance(framing, ArrayChunks) else sent(raw)

    error = told[-1]["error"]
    assert (error["code"], error["status"], error["message"]) == (503, "UNAVAILABLE", "Too much.")
    assert error["details"][1]["retryDelay"] == "13s"
    assert framing.broken


def test_a_stream_that_was_not_heard_is_the_whole_answer() -> None:
    whole = {**chunk(text("hello"), finish="STOP"), "usageMetadata": {"totalTokenCount": 3}}
    refused = {"promptFeedback": {"blockReason": "SAFETY"}}

    assert sent(EventChunks().rest(whole)) == [whole]
    assert sent(EventChunks().rest(refused)) == [refused]


def test_the_rest_is_what_was_not_sent() -> None:
    framing = EventChunks()
    framing.encode(orjson.dumps([chunk(text("let me ", thought=True)), chunk(text("hel"))]))
    thought = text("let me think", thought=True)
    whole = {**chunk(thought, text("hello"), CALL, finish="STOP"), "usageMetadata": {"x": 1}}

    (rest,) = sent(framing.rest(whole))

    parts = rest["candidates"][0]["content"]["parts"]
    assert parts == [text("think", thought=True), text("lo"), CALL]
    assert rest["candidates"][0]["finishReason"] == "STOP"
    assert rest["usageMetadata"] == {"x": 1}
    assert framing.rest(whole) == b""


def test_a_call_is_not_sent_twice() -> None:
    framing = EventChunks()
    framing.encode(orjson.dumps([chunk(CALL)]))

    (rest,) = sent(framing.rest(chunk(CALL, text("!"), finish="STOP")))

    assert rest["candidates"][0]["content"]["parts"] == [text("!")]


def test_candidates_are_told_apart() -> None:
    framing = EventChunks()
    framing.encode(orjson.dumps([chunk(text("a")), chunk(text("b"), index=1, finish="STOP")]))
    both = [chunk(text("aa"), finish="STOP")["candidates"][0]]
    both += chunk(text("b"), index=1, finish="STOP")["candidates"]

    (rest,) = sent(framing.rest({"candidates": both}))

    assert [each["index"] for each in rest["candidates"]] == [0]
    assert rest["candidates"][0]["content"]["parts"] == [text("a")]


def test_what_says_nothing_has_not_begun() -> None:
    framing = EventChunks()
    framing.encode(orjson.dumps([{"usageMetadata": {"promptTokenCount": 3}}, chunk(text(""))]))

    assert not framing.begun
