"""A provider's chunks, and a whole completion, as OpenAI's clients expect a stream."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.direct.failures import StreamBroken
from api.openai.chat_chunks import Chunks, event

HEAD = {"id": "chatcmpl-spare", "created": 1, "model": "asked"}
FIRST = {"id": "chatcmpl-1", "created": 7, "model": "gpt", "object": "chat.completion.chunk"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
Json = dict[str, Any]


def chunk(delta: Json | None, *, finish: str | None = None, **more: Any) -> Json:
    part = {"index": more.pop("index", 0), "delta": delta, "finish_reason": finish}
    return {**FIRST, "choices": [part], **more}


def read(raw: bytes) -> list[Any]:
    """Return the data of events, each of which must be one `data:` line and nothing else."""
    assert raw.isascii()
    assert raw == b"" or raw.endswith(b"\n\n")
    found = []
    for block in raw.split(b"\n\n")[:-1]:
        assert block.startswith(b"data: ")
        assert b"\n" not in block
        assert b"\r" not in block
        found.append("[DONE]" if block == b"data: [DONE]" else orjson.loads(block[6:]))
    return found


def encode(chunks: Chunks, *rows: Json) -> list[Any]:
    return read(chunks.encode(orjson.dumps(rows)))


def deltas(rows: list[Any], index: int = 0) -> list[Json]:
    parts = [part for row in rows if row != "[DONE]" for part in row["choices"]]
    return [part["delta"] for part in parts if part["index"] == index]


def text(rows: list[Any], index: int = 0) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(rows, index))


def finishes(rows: list[Any]) -> list[tuple[int, str]]:
    parts = [part for row in rows if row != "[DONE]" for part in row["choices"]]
    return [(part["index"], part["finish_reason"]) for part in parts if part["finish_reason"]]


def completion(content: str | None = "hello", **message: Any) -> Json:
    whole = {"role": "assistant", "content": content, "refusal": None, **message}
    choice = {"index": 0, "message": whole, "logprobs": None, "finish_reason": "stop"}
    head = {"id": "chatcmpl-2", "created": 9, "model": "gpt", "object": "chat.completion"}
    return {**head, "choices": [choice], "usage": USAGE}


def test_chunks_go_through_with_the_role_first() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = encode(chunks, chunk({"role": "assistant", "content": ""}), chunk({"content": "hi"}))
    rows += encode(chunks, chunk({}, finish="stop"), {**FIRST, "choices": [], "usage": USAGE})
    rows += read(chunks.end())

    assert rows[-1] == "[DONE]"
    assert deltas(rows) == [{"role": "assistant", "content": ""}, {"content": "hi"}, {}]
    assert finishes(rows) == [(0, "stop")]
    assert all("usage" not in row and row["choices"] for row in rows[:-1])


def test_usage_that_was_asked_for_comes_last_and_is_null_before() -> None:
    chunks = Chunks(HEAD, include_usage=True)

    rows = encode(chunks, chunk({"content": "hi"}, usage=USAGE), chunk({}, finish="stop"))
    rows += encode(chunks, {**FIRST, "choices": [], "usage": {**USAGE, "total_tokens": 4}})
    rows += read(chunks.end())

    *before, last, done = rows
    assert done == "[DONE]"
    assert [row["usage"] for row in before] == [None, None]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 4
    assert {last["id"], last["model"], last["object"]} == {FIRST["id"], "gpt", FIRST["object"]}


def test_one_id_time_model_and_object_throughout() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = encode(
        chunks, {**FIRST, "id": "", "model": "", "choices": [], "prompt_filter_results": []}
    )
    rows += encode(chunks, chunk({"content": "a"}), chunk({"content": "b"}, id="other", created=99))
    rows += encode(chunks, chunk({}, finish="stop", object="text", model="gpt-2026"))

    names = ("id", "created", "model", "object")
    assert {tuple(row[name] for name in names) for row in rows} == {
        ("chatcmpl-1", 7, "gpt", "chat.completion.chunk")
    }
    assert len(rows) == 3, "a chunk without choices is not for clients"


def test_what_a_provider_leaves_out_is_put_in() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = encode(chunks, {"choices": [{"delta": {"content": "a"}}]}, {"choices": [{}, 5]})

    assert rows[0]["choices"] == [
        {"delta": {"role": "assistant", "content": "a"}, "index": 0, "finish_reason": None}
    ]
    assert (rows[0]["id"], rows[0]["created"], rows[0]["model"]) == ("chatcmpl-spare", 1, "asked")
    assert rows[1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]


def test_a_role_that_is_repeated_is_said_once_for_each_choice() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = encode(
        chunks,
        chunk({"role": "assistant", "content": "a"}),
        chunk({"role": "assistant", "content": "b"}),
        chunk({"content": "c"}, index=1),
    )

    assert [("role" in each) for each in deltas(rows)] == [True, False]
    assert deltas(rows, 1) == [{"role": "assistant", "content": "c"}]


@pytest.mark.parametrize("said", ["\u2028", "\u2029", "\u0085", "ü", "😀", "\n\n", '"\\'])
def test_lines_cannot_be_broken_by_what_is_said(said: str) -> None:
    [row] = read(event({"said": said}))

    assert row == {"said": said}


def test_nothing_is_begun_by_a_role_alone() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    encode(chunks, chunk({"role": "assistant", "content": ""}))
    assert not chunks.begun
    encode(chunks, chunk({"content": "a"}))
    assert chunks.begun


@pytest.mark.parametrize(
    "delta", [{"tool_calls": [{"index": 0}]}, {"refusal": "no"}, {"audio": {"id": "x"}}]
)
def test_anything_else_begins(delta: Json) -> None:
    chunks = Chunks(HEAD, include_usage=False)

    encode(chunks, chunk(delta))

    assert chunks.begun


def test_a_whole_completion_becomes_a_stream() -> None:
    chunks = Chunks(HEAD, include_usage=True)

    assert chunks.lacks_something
    rows = read(chunks.rest(completion()) + chunks.end())

    assert deltas(rows) == [{"role": "assistant", "content": "hello"}, {}]
    assert finishes(rows) == [(0, "stop")]
    assert {row["id"] for row in rows[:-1]} == {"chatcmpl-2"}
    assert {row["object"] for row in rows[:-1]} == {"chat.completion.chunk"}
    assert rows[-2]["usage"] == USAGE


@given(said=st.text(max_size=40), at=st.integers(0, 40))
def test_the_rest_joins_what_was_sent(said: str, at: int) -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = encode(chunks, chunk({"role": "assistant", "content": said[:at]}))
    rows += read(chunks.rest(completion(said)) + chunks.end())

    assert text(rows) == said
    assert finishes(rows) == [(0, "stop")]
    assert [("role" in each) for each in deltas(rows)].count(True) == 1


def test_what_was_sent_whole_has_no_rest() -> None:
    chunks = Chunks(HEAD, include_usage=True)
    encode(chunks, chunk({"content": "hello"}), chunk({}, finish="stop"))

    assert chunks.rest(completion()) == b""
    assert read(chunks.end())[0]["usage"] == USAGE


def test_the_rest_of_several_choices_and_fields() -> None:
    chunks = Chunks(HEAD, include_usage=False)
    whole = completion("abc", reasoning_content="think", annotations=[], audio=None)
    whole["choices"][0]["logprobs"] = {"content": [{"token": each} for each in "abc"]}
    whole["choices"].append({**copy.deepcopy(whole["choices"][0]), "index": 1})
    sent = chunk({"content": "ab", "reasoning_content": "think"})
    sent["choices"][0]["logprobs"] = {"content": [{"token": "a"}, {"token": "b"}]}

    encode(chunks, sent)
    rows = read(chunks.rest(whole))

    assert deltas(rows)[0] == {"content": "c"}
    assert rows[0]["choices"][0]["logprobs"] == {"content": [{"token": "c"}]}
    first = {"role": "assistant", "content": "abc", "reasoning_content": "think"}
    assert deltas(rows, 1) == [first, {}]
    assert finishes(rows) == [(0, "stop"), (1, "stop")]


CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def test_tool_calls_of_a_whole_completion_are_numbered() -> None:
    chunks = Chunks(HEAD, include_usage=False)

    rows = read(chunks.rest(completion(None, tool_calls=CALLS)))

    assert deltas(rows)[0] == {"role": "assistant", "tool_calls": [{"index": 0, **CALLS[0]}]}


def test_half_a_tool_call_cannot_be_completed() -> None:
    chunks = Chunks(HEAD, include_usage=False)
    encode(chunks, chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}))

    with pytest.raises(StreamBroken):
        chunks.rest(completion(None, tool_calls=CALLS))
    encode(chunks, chunk({}, finish="tool_calls"))
    assert chunks.rest(completion(None, tool_calls=CALLS)) == b"", "it was there already"


def test_a_usage_that_nobody_knows_is_left_out() -> None:
    chunks = Chunks(HEAD, include_usage=True)

    chunks.rest({**completion(), "usage": None})

    assert read(chunks.end()) == ["[DONE]"]
