"""A streamed message as Anthropic's clients get it, however much of the stream was heard."""

from typing import Any

import orjson
import pytest

from api.anthropic.events import STOP, Events
from api.direct.failures import StreamBroken
from api.errors import REQUEST_ID
from shared.errors import Unavailable

Json = dict[str, Any]
USAGE = {"input_tokens": 3, "output_tokens": 9}
MESSAGE: Json = {
    "id": "msg_theirs",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "Let me think.", "signature": "c2ln"},
        {"type": "text", "text": "Grüße\u2028!", "citations": [{"cited_text": "a"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": [2, 3]}},
        {"type": "web_search_tool_result", "tool_use_id": "x", "content": [{"url": "u"}]},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": USAGE,
}
EMPTY = {**MESSAGE, "content": [], "stop_reason": None}


def delta(index: int, **of: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": of}


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def stop(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


STREAM: list[Json] = [
    {"type": "message_start", "message": EMPTY},
    start(0, type="thinking", thinking="", signature=""),
    {"type": "ping"},
    delta(0, type="thinking_delta", thinking="Let me "),
    delta(0, type="thinking_delta", thinking="think."),
    delta(0, type="signature_delta", signature="c2ln"),
    stop(0),
    start(1, type="text", text="", citations=[]),
    delta(1, type="text_delta", text="Grüße"),
    delta(1, type="text_delta", text="\u2028!"),
    delta(1, type="citations_delta", citation={"cited_text": "a"}),
    stop(1),
    start(2, type="tool_use", id="toolu_1", name="add", input={}),
    delta(2, type="input_json_delta", partial_json='{"a": 1, '),
    delta(2, type="input_json_delta", partial_json='"b": [2, 3]}'),
    stop(2),
    start(3, **MESSAGE["content"][3]),
    stop(3),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": USAGE,
    },
    {"type": "message_stop"},
]


def framing() -> Events:
    return Events("msg_ours", "my-model")


def read(raw: bytes) -> list[Json]:
    """Read a stream as strictly as may be."""
    found = []
    assert raw.isascii()
    for block in raw.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        value = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        found.append(value)
    return found


def joined(events: list[Json]) -> Json:
    """Put events together as the clients do, each only where it may stand."""
    message: Json = {}
    inputs: dict[int, str] = {}
    for event in events:
        kind = event["type"]
        if kind == "message_start":
            assert not message
            message = {**event["message"], "content": []}
        elif kind == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(dict(event["content_block"]))
        elif kind == "content_block_delta":
            _add(message["content"][event["index"]], event["delta"], inputs, event["index"])
        elif kind == "message_delta":
            message |= event["delta"]
            message["usage"] = event["usage"]
    for index, text in inputs.items():
        message["content"][index]["input"] = orjson.loads(text)
    return message


def _add(block: Json, part: Json, inputs: dict[int, str], index: int) -> None:
    for name, value in part.items():
        if name in {"text", "thinking", "signature"}:
            block[name] += value
        elif name == "citation":
            block["citations"] = [*(block["citations"] or []), value]
        elif name == "partial_json":
            inputs[index] = inputs.get(index, "") + value


def test_the_whole_stream_goes_through_with_its_names() -> None:
    events = framing()
    sent = events.encode(orjson.dumps(STREAM))

    assert read(sent) == STREAM[:-1]
    assert not events.lacks_something
    assert joined(read(sent + events.end())) == MESSAGE
    assert read(events.end()) == STREAM[-1:]


@pytest.mark.parametrize("heard", [n for n in range(len(STREAM)) if n != 14])
def test_whatever_was_not_heard_comes_with_the_whole_message(heard: int) -> None:
    events = framing()
    sent = events.encode(orjson.dumps(STREAM[:heard]))
    sent += events.rest(MESSAGE) + events.end()

    told = read(sent)

    assert joined(told) == MESSAGE
    assert told.count(STREAM[-1]) == 1
    assert [each["index"] for each in told if each["type"] == "content_block_stop"] == [0, 1, 2, 3]


def test_a_call_that_broke_off_in_its_input_cannot_be_joined() -> None:
    events = framing()
    events.encode(orjson.dumps(STREAM[:14]))

    with pytest.raises(StreamBroken):
        events.rest(MESSAGE)


def test_a_call_that_begins_anew_before_anything_was_said_is_one_message() -> None:
    events = framing()
    first = events.encode(orjson.dumps(STREAM[:1]))
    assert not events.begun
    second = events.encode(orjson.dumps(STREAM))

    assert joined(read(first + second)) == MESSAGE
    assert events.begun


def test_what_the_message_does_not_say_is_ours() -> None:
    events = framing()
    (begun, *_) = read(events.encode(orjson.dumps([start(0, type="text", text="")])))

    assert begun["message"]["id"] == "msg_ours"
    assert begun["message"]["model"] == "my-model"
    assert begun["message"]["usage"] == {"input_tokens": 0, "output_tokens": 0}


def test_an_event_without_a_proper_name_is_not_passed_on() -> None:
    sent = framing().encode(orjson.dumps([{"type": "a\n\nb"}, {}, {"type": None}]))

    assert sent == b""


def test_signs_of_life_and_failures_are_events() -> None:
    error = Unavailable("No room.", code="overloaded")
    [told] = read(framing().failed(error, {REQUEST_ID: "req_1"}))

    assert Events.keep_alive == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert STOP == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert (told["type"], told["error"]["type"]) == ("error", "overloaded_error")
    assert told["error"]["details"]["error_code"] == "overloaded"
    assert told["request_id"] == "req_1"
