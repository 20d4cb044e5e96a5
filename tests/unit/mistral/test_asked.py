"""What Mistral's clients ask, in OpenAI's words; and its batches' lines in ours."""

from typing import Any

import orjson
import pytest

from api.mistral.asked import FOR_MISTRAL, chat_of, embeddings_of
from api.mistral.batch_lines import Copier
from api.mistral.told import chat_told, embeddings_told
from shared.jobs.endpoints import Endpoint

HI: dict[str, Any] = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"random_seed": 3}, {"seed": 3}),
        ({"random_seed": None}, {}),
        ({"tool_choice": "any"}, {"tool_choice": "required"}),
        ({"tool_choice": "none"}, {"tool_choice": "none"}),
        ({"safe_prompt": True}, {FOR_MISTRAL: {"safe_prompt": True}}),
        ({"safe_prompt": False, "prompt_mode": None}, {}),
        ({"top_k": 5, "anything": [1]}, {"top_k": 5, "anything": [1]}),
    ],
)
def test_keys(asked: dict[str, Any], told: dict[str, Any]) -> None:
    before = {"model": "m", "messages": [HI], **asked}
    after = chat_of(before)

    assert after == {"model": "m", "messages": [HI], **told}
    assert before.keys() == {"model", "messages", *asked}


def test_messages() -> None:
    call = {"id": "c", "index": 0, "function": {"name": "f", "arguments": {"a": 1}}}
    picture = {"type": "image_url", "image_url": "https://example.org/a.png"}
    asked: list[Any] = [
        {"role": "user", "content": [picture, {"type": "text", "text": "what?"}]},
        {"role": "assistant", "content": "", "tool_calls": [call], "prefix": False},
        {"role": "assistant", "content": "x", "tool_calls": None, "prefix": True},
    ]
    told: Any = chat_of({"messages": [*asked]})
    one, two, three = told["messages"]

    assert one["content"][0]["image_url"] == {"url": "https://example.org/a.png"}
    assert two["tool_calls"] == [
        {"type": "function", "id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]
    assert "prefix" not in two
    assert three == {"role": "assistant", "content": "x", "prefix": True}


@pytest.mark.parametrize("messages", [None, "no", [1, None], [{"content": [3]}]])
def test_what_is_no_message_is_left_for_the_check(messages: Any) -> None:
    assert chat_of({"messages": messages})["messages"] == messages


def test_embeddings() -> None:
    asked: dict[str, Any] = {
        "model": "m",
        "input": "a",
        "output_dimension": 5,
        "output_dtype": "float",
    }
    assert embeddings_of({**asked}) == {"model": "m", "input": "a", "dimensions": 5}
    assert embeddings_of({"output_dtype": "int8"}) == {"output_dtype": "int8"}


def test_an_answer_has_what_the_sdk_insists_on() -> None:
    good = b'{"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}'
    bare = orjson.loads(chat_told(b'{"choices": [{"finish_reason": null}]}'))
    vectors = orjson.loads(embeddings_told(b'{"data": [], "usage": {"prompt_tokens": 2}}'))

    assert chat_told(good) is good
    assert (bare["usage"]["total_tokens"], bare["choices"][0]["finish_reason"]) == (0, "stop")
    assert vectors["id"].startswith("embd_")
    assert vectors["usage"] == {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 0}


def test_lines_become_whole_requests() -> None:
    copier = Copier(Endpoint.CHAT, "m")
    asked: Any = {"body": {"messages": [HI], "random_seed": 1}}
    named: Any = {"custom_id": "mine", "body": {"model": "other", "messages": [HI]}}
    one = orjson.loads(copier.line(orjson.dumps(asked), 1))
    two = orjson.loads(copier.line(orjson.dumps(named), 2))

    assert one == {
        "custom_id": "0",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [HI], "seed": 1},
    }
    assert (two["custom_id"], two["body"]["model"]) == ("mine", "other")


def test_what_is_no_line_is_left_for_the_check() -> None:
    copier = Copier(Endpoint.EMBEDDINGS, None)

    assert copier.copied(b"nonsense", 1) == b"nonsense"
    assert copier.copied(b"[1]", 2) == b"[1]"
    deep = b'{"body": ' + b"[" * 400 + b"]" * 400 + b"}"
    assert copier.copied(deep, 3) == deep
    assert orjson.loads(copier.copied(b'{"body": 3, "more": 1}', 3)) == {
        "custom_id": "2",
        "method": "POST",
        "url": "/v1/embeddings",
        "body": 3,
        "more": 1,
    }
