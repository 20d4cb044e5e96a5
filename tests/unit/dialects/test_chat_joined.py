"""Putting streamed answers together: every text once, whatever a provider sends."""

from typing import Any, Self

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from shared.dialects.chat.joined import ChatJoined as Joined


class Counted(str):
    """A piece of text that counts how often it, or what it was added to, is added up."""

    __slots__ = ()
    additions = 0

    @override
    def __add__(self, other: str) -> Self:
        type(self).additions += 1
        return type(self)(str(self) + str(other))

    def __radd__(self, other: str) -> Self:
        type(self).additions += 1
        return type(self)(str(other) + str(self))


def joined(*chunks: dict[str, Any]) -> dict[str, Any]:
    answer = Joined()
    for chunk in chunks:
        answer.add(chunk)
    whole: dict[str, Any] = orjson.loads(orjson.dumps(answer.whole()))
    return whole


def delta(delta: Any, **rest: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **rest}]}


def message(*deltas: Any) -> dict[str, Any]:
    found: dict[str, Any] = joined(*map(delta, deltas))["choices"][0]["message"]
    return found


def test_texts_are_not_added_up_piece_by_piece() -> None:
    answer = Joined()
    pieces = [Counted("x") for _ in range(2_000)]
    for piece in pieces:
        answer.add(delta({"content": piece, "reasoning_content": piece}))
        answer.add(delta({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
        answer.add(delta({}, logprobs={"content": [{"token": "x"}]}))

    choice = answer.whole()["choices"][0]

    assert choice["message"]["content"] == "x" * 2_000
    assert choice["message"]["reasoning_content"] == "x" * 2_000
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "x" * 2_000
    assert len(choice["logprobs"]["content"]) == 2_000
    assert Counted.additions == 0


def test_what_stands_beside_the_choices_is_kept() -> None:
    whole = joined(
        {"id": "c1", "object": "chat.completion.chunk", "created": 5, "usage": None, "choices": []},
        {"id": "c1", "model": "m", "service_tier": "default", "choices": []},
        {"id": "c1", "choices": [], "usage": {"prompt_tokens": 3}},
    )

    assert whole == {
        "id": "c1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "service_tier": "default",
        "usage": {"prompt_tokens": 3},
        "choices": [],
    }


def test_a_choice_has_all_its_fields() -> None:
    whole = joined(delta({"content": "a"}), delta({}, finish_reason="stop"))

    assert whole["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]


def test_a_call_without_a_text_has_no_content() -> None:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}

    found = message({"role": "assistant", "content": None, "tool_calls": [call]})

    assert found["content"] is None
    assert found["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    ]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    found = message(
        {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "["}}]},
        {"tool_calls": [{"function": {"arguments": "]"}}]},
    )

    calls = [(call["id"], call["function"]["arguments"]) for call in found["tool_calls"]]
    assert calls == [("a", "{}"), ("b", "[]")]


def test_other_calls_and_parts_grow_too() -> None:
    found = message(
        {"audio": {"id": "au", "data": "QU"}, "annotations": [1]},
        {"audio": {"data": "JD", "expires_at": 7}, "annotations": [2]},
        {"function_call": {"name": "f", "arguments": "{"}},
        {"function_call": {"arguments": "}"}},
    )

    assert found["audio"] == {"id": "au", "data": "QUJD", "expires_at": 7}
    assert found["annotations"] == [1, 2]
    assert found["function_call"] == {"name": "f", "arguments": "{}"}


def test_parts_and_then_plain_text_are_both_kept() -> None:
    found = message(
        {"content": [{"type": "thinking", "thinking": "hm"}]}, {"content": "a"}, {"content": "b"}
    )

    assert found["content"] == [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "ab"},
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        {"choices": [{"delta": {"content": "b"}}]},
        {"choices": [{"index": "0", "delta": {"content": "b"}}]},
        {"choices": [{"index": [0], "delta": {"content": "b"}}]},
        {"choices": [None, 7, "x", [], {"index": 0, "delta": {"content": "b"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b", "tool_calls": "no"}}]},
        {"choices": [{"index": 0, "delta": {"content": "b", "tool_calls": {"index": 0}}}]},
        {"choices": [{"index": 0, "delta": {"content": "b"}, "logprobs": "no"}]},
    ],
)
def test_a_hostile_chunk_takes_nothing_else_with_it(hostile: dict[str, Any]) -> None:
    whole = joined(delta({"content": "a"}), hostile, delta({"content": "c"}))

    assert [choice["message"]["content"] for choice in whole["choices"]] == ["abc"]


NAMES = "index delta content role tool_calls function name arguments id logprobs audio choices type"
KEYS = st.sampled_from(NAMES.split())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
CHOICE = st.dictionaries(KEYS, JSON, max_size=4)


@settings(deadline=None)
@given(st.lists(st.dictionaries(KEYS, JSON | st.lists(CHOICE | JSON, max_size=3), max_size=4)))
def test_no_chunk_stumbles(chunks: list[dict[str, Any]]) -> None:
    answer = Joined()
    for chunk in chunks:
        answer.add(chunk)

    assert orjson.dumps(answer.whole())
    assert answer.said() is not None
