"""A provider's events, and a whole legacy completion, as OpenAI's clients expect a stream."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from api.openai.completion_events import Texts
from shared.dialects.completions.joined import CompletionJoined

HEAD = {"id": "cmpl-spare", "created": 1, "model": "asked"}
FIRST = {"id": "cmpl-1", "created": 7, "model": "gpt", "object": "text_completion"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
Json = dict[str, Any]


def said(text: str = "", *, finish: str | None = None, index: int = 0, **more: Any) -> Json:
    part = {"index": index, "text": text, "finish_reason": finish, **more}
    return {**FIRST, "choices": [part]}


def whole(text: str = "hello", **more: Any) -> Json:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop", **more}
    return {**FIRST, "id": "cmpl-2", "choices": [choice], "usage": USAGE}


def read(raw: bytes) -> list[Any]:
    assert raw.isascii()
    blocks = raw.split(b"\n\n")[:-1]
    assert all(block.startswith(b"data: ") and b"\n" not in block for block in blocks)
    return ["[DONE]" if b == b"data: [DONE]" else orjson.loads(b[6:]) for b in blocks]


def encode(texts: Texts, *rows: Json) -> list[Any]:
    return read(texts.encode(orjson.dumps(rows)))


def text_of(rows: list[Any], index: int = 0) -> str:
    parts = [part for row in rows if row != "[DONE]" for part in row["choices"]]
    return "".join(part["text"] for part in parts if part["index"] == index)


def test_every_event_has_one_head_and_all_members() -> None:
    texts = Texts(HEAD, include_usage=False)
    other = {**said("b\u2028"), "id": "cmpl-other", "created": 8}

    rows = encode(texts, said("a"), other, said(finish="stop")) + read(texts.end())

    assert [row["id"] for row in rows[:-1]] == ["cmpl-1"] * 3
    assert {"index", "text", "logprobs", "finish_reason"} <= rows[0]["choices"][0].keys()
    assert text_of(rows) == "ab\u2028"
    assert rows[-1] == "[DONE]"
    assert "usage" not in rows[0]


def test_the_usage_stands_last_and_only_where_it_was_asked_for() -> None:
    rows = [said("a"), {**FIRST, "choices": [], "usage": USAGE}]
    asked, unasked = Texts(HEAD, include_usage=True), Texts(HEAD, include_usage=False)

    with_usage = encode(asked, *rows) + read(asked.end())
    without = encode(unasked, *rows) + read(unasked.end())

    assert with_usage[0]["usage"] is None
    assert (with_usage[1]["usage"], with_usage[1]["choices"]) == (USAGE, [])
    assert without == [*without[:1], "[DONE]"]


@given(text=st.text(max_size=6), cut=st.integers(0, 6), finished=st.booleans())
def test_what_was_not_streamed_comes_from_the_whole(text: str, cut: int, finished: bool) -> None:
    texts = Texts(HEAD, include_usage=True)
    streamed = text if finished else text[:cut]
    first = encode(texts, said(streamed, finish="stop" if finished else None))

    rows = first + read(texts.rest(whole(text))) + read(texts.end())

    assert text_of(rows) == text
    finishes = [p["finish_reason"] for r in rows[:-1] for p in r["choices"] if p["finish_reason"]]
    assert finishes == ["stop"]
    assert rows[-2]["usage"] == USAGE


def test_probabilities_are_told_once() -> None:
    texts = Texts(HEAD, include_usage=False)
    first = {"tokens": ["a"], "token_logprobs": [-1.0], "text_offset": [0]}
    both = {"tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "text_offset": [0, 1]}

    encode(texts, said("a", logprobs=first))
    (row,) = read(texts.rest(whole("ab", logprobs=both)))

    (part,) = row["choices"]
    assert part["text"] == "b"
    assert part["logprobs"] == {"tokens": ["b"], "token_logprobs": [-2.0], "text_offset": [1]}


def test_a_stream_has_begun_once_it_said_something() -> None:
    texts = Texts(HEAD, include_usage=False)
    assert texts.opening() == b""

    encode(texts, said(""))
    assert not texts.begun

    encode(texts, said("a"))
    assert texts.begun


def test_a_joined_stream_is_the_whole() -> None:
    joined = CompletionJoined()
    columns = {"tokens": ["h"], "token_logprobs": [-1.0]}
    spoke = [
        joined.add(said("")),
        joined.add(said("h", logprobs=columns)),
        joined.add(said("i", logprobs=columns)),
        joined.add(said(finish="stop", stop_reason="x")),
        joined.add({**FIRST, "choices": [], "usage": USAGE}),
    ]

    answer = joined.whole()

    assert spoke == [False, True, True, False, False]
    assert joined.said() == "hi"
    assert answer["usage"] == USAGE
    assert answer["choices"] == [
        {
            "index": 0,
            "text": "hi",
            "logprobs": {"tokens": ["h", "h"], "token_logprobs": [-1.0, -1.0]},
            "finish_reason": "stop",
            "stop_reason": "x",
        }
    ]
