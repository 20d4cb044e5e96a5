"""Mistral's streams: the usage on the last chunk, tool calls whole, every chunk with its members."""

from typing import Any

import orjson
import pytest

from api.direct.failures import StreamBroken
from api.mistral.chunks import MistralChunks

HEAD = {"id": "chatcmpl-x", "created": 7, "model": "m"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def piece(arguments: str, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments, **({"name": "weather"} if more else {})}
    return {"tool_calls": [{"index": 0, "function": function, **more}]}


def encoded(framing: MistralChunks, *chunks: dict[str, Any]) -> list[dict[str, Any]]:
    return sent(framing.encode(orjson.dumps(chunks)))


def sent(raw: bytes) -> list[dict[str, Any]]:
    assert raw.isascii()
    blocks = raw.split(b"\n\n")
    assert blocks.pop() == b""
    assert all(each.startswith(b"data: ") for each in blocks)
    if blocks and blocks[-1] == b"data: [DONE]":
        blocks.pop()
    told = [orjson.loads(each.removeprefix(b"data: ")) for each in blocks]
    for each in told:
        # What the SDK insists on.
        assert each["choices"]
        assert {"id", "model", "choices"} <= each.keys()
        assert all({"index", "delta", "finish_reason"} <= part.keys() for part in each["choices"])
        for call in _calls(each):
            assert {"name", "arguments"} <= call["function"].keys()
    return told


def _calls(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [call for part in told["choices"] for call in part["delta"].get("tool_calls") or ()]


def test_the_usage_rides_on_the_last_chunk() -> None:
    framing = MistralChunks(HEAD)
    first = encoded(framing, chunk({"role": "assistant", "content": "hel"}), chunk({}, "stop"))
    nothing = encoded(framing, {**HEAD, "choices": [], "usage": USAGE})
    raw = framing.end()

    assert [each["choices"][0]["delta"].get("content") for each in first] == ["hel"]
    assert all("usage" not in each for each in first)
    assert nothing == []
    assert raw.endswith(b"data: [DONE]\n\n")
    (last,) = sent(raw)
    assert (last["usage"], last["choices"][0]["finish_reason"]) == (USAGE, "stop")


def test_usage_of_mistrals_own_chunks_is_kept() -> None:
    framing = MistralChunks(HEAD)
    encoded(framing, chunk({"content": "a"}), {**chunk({"content": "b"}, "length"), "usage": USAGE})

    assert not framing.lacks_something
    (last,) = sent(framing.end())
    assert (last["usage"], last["choices"][0]["delta"]) == (USAGE, {"content": "b"})


def test_a_tool_call_comes_whole() -> None:
    framing = MistralChunks(HEAD)
    said = encoded(framing, chunk({"role": "assistant", "content": None}))
    said += encoded(framing, chunk(piece("", id="c1", type="function")), chunk(piece('{"city"')))
    assert framing.begun
    assert framing.lacks_something
    said += encoded(framing, chunk(piece(':"Rome"}')), chunk({}, "tool_calls"))
    said += encoded(framing, {**HEAD, "choices": [], "usage": USAGE})
    *before, last = said + sent(framing.end())

    assert [call for each in before for call in _calls(each)] == []
    assert len(before) == 1
    assert _calls(last) == [
        {
            "index": 0,
            "type": "function",
            "id": "c1",
            "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
        }
    ]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


def test_two_choices_end_each_for_itself() -> None:
    framing = MistralChunks(HEAD)
    said = encoded(framing, chunk({"content": "a"}), chunk({"content": "b"}, index=1))
    said += encoded(framing, chunk({}, "stop"), chunk({}, "length", index=1))
    (last,) = sent(framing.end())

    reasons = [
        (part["index"], part["finish_reason"]) for each in [*said, last] for part in each["choices"]
    ]
    assert reasons == [(0, None), (1, None), (0, "stop"), (1, "length")]
    assert "usage" not in said[-1]
    assert "usage" not in last


def test_what_was_not_heard_comes_from_the_whole_answer() -> None:
    framing = MistralChunks(HEAD)
    encoded(framing, chunk({"content": "hel"}))
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": "hello", "tool_calls": [call]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    raw = framing.rest({**HEAD, "choices": choices, "usage": USAGE}) + framing.end()
    rest, last = sent(raw)

    assert rest["choices"][0]["delta"] == {"content": "lo", "tool_calls": [{"index": 0, **call}]}
    assert (last["choices"][0]["finish_reason"], last["usage"]) == ("tool_calls", USAGE)


def test_an_error_is_an_event_that_no_chunk_looks_like() -> None:
    framing = MistralChunks(HEAD)
    encoded(framing, chunk({"content": "hel"}))
    raw = framing.failed(StreamBroken("Broken off."), {"type": "http", "path": "/"})

    told = orjson.loads(raw.removeprefix(b"data: "))
    assert told["error"]["message"] == "Broken off."
    assert not {"id", "choices"} & told.keys()


@pytest.mark.parametrize("said", [None, "", 0])
def test_noise_is_left_out(said: Any) -> None:
    framing = MistralChunks(HEAD)
    encoded(framing, chunk({"content": "a"}))

    assert encoded(framing, {**HEAD, "choices": said or []}, chunk({})) == []
