"""Answers in Anthropic's words: how each ended, what it used, and whose seals it carries."""

from typing import Any

import pytest

from shared.dialects.messages.answers import read_answer, write_answer
from shared.dialects.messages.seals import without_foreign
from shared.dialects.messages.usage import read_usage, write_usage
from shared.dialects.translator import Head
from shared.inference.conversation import Part, Refusal, Text, Thinking, ToolCall
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, Finish, GenerationResponse
from shared.inference.usage import Usage

HEAD = Head("1", "alias", 1_700_000_000)


def message(*content: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 2},
        **more,
    }


def written(*parts: Part, finish: Finish = Finish.STOP, **more: Any) -> dict[str, Any]:
    answer = GenerationResponse("x", "y", (Choice(parts, finish, **more),), Usage(1, 2))
    return write_answer(answer, HEAD, {})


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", Finish.STOP),
        ("stop_sequence", Finish.STOP),
        ("pause_turn", Finish.STOP),
        ("max_tokens", Finish.LENGTH),
        ("model_context_window_exceeded", Finish.LENGTH),
        ("tool_use", Finish.TOOL_CALLS),
        ("refusal", Finish.CONTENT_FILTER),
        ("what is next", Finish.STOP),
        (None, Finish.STOP),
    ],
)
def test_every_reason_to_end_is_read(reason: str | None, finish: Finish) -> None:
    assert read_answer(message(stop_reason=reason)).choices[0].finish is finish


def test_a_refusal_is_read_with_its_explanation_and_written_so() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    refused = message(stop_reason="refusal", stop_details=details)

    choice = read_answer(refused).choices[0]

    assert choice.parts == (Refusal("Not this."),)
    for finish in (Finish.CONTENT_FILTER, Finish.STOP):
        back = written(*choice.parts, finish=finish)
        assert back["stop_reason"] == "refusal"
        assert back["stop_details"]["explanation"] == "Not this."
        assert back["content"] == []


def test_blocks_that_only_anthropic_has_do_not_hide_the_words() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    cited = {"type": "text", "text": "Found.", "citations": [{"type": "page_location"}]}

    assert read_answer(message(search, cited)).choices[0].parts == (Text("Found."),)


def test_an_answer_is_called_as_its_client_called_it() -> None:
    said = written(Text("hi"))

    assert (said["id"], said["model"]) == ("msg_1", "alias")
    assert said["content"] == [{"type": "text", "text": "hi", "citations": None}]
    assert said["usage"]["input_tokens"] == 1


@pytest.mark.parametrize(
    ("parts", "finish", "stopped", "reason"),
    [
        ((Text("a"),), Finish.STOP, None, "end_turn"),
        ((Text("a"),), Finish.STOP, "END", "stop_sequence"),
        ((Text("a"),), Finish.LENGTH, None, "max_tokens"),
        ((ToolCall("t", "f", "{}"),), Finish.TOOL_CALLS, None, "tool_use"),
        # Some providers call an end with calls a plain one.
        ((ToolCall("t", "f", "{}"),), Finish.STOP, None, "tool_use"),
        ((ToolCall("t", "f", '{"a'),), Finish.LENGTH, None, "max_tokens"),
        ((), Finish.CONTENT_FILTER, None, "refusal"),
    ],
)
def test_every_end_is_written(
    parts: tuple[Part, ...], finish: Finish, stopped: str | None, reason: str
) -> None:
    said = written(*parts, finish=finish, stop_sequence=stopped)

    assert (said["stop_reason"], said["stop_sequence"]) == (reason, stopped)


def test_an_answer_without_choices_is_still_a_message() -> None:
    said = write_answer(GenerationResponse("x", "y", (), None), HEAD, {})

    assert said["content"] == []
    assert said["usage"] == write_usage(None)


def test_seals_of_others_travel_marked_and_never_reach_anthropic() -> None:
    said = written(
        Thinking("a", "s1", dialect=Dialect.MESSAGES),
        Thinking("b", "s2", dialect=Dialect.GEMINI),
        Thinking("c", "nobody's"),
        Thinking("", redacted="d", dialect=Dialect.RESPONSES),
        ToolCall("t", "f", "{}", "s3"),
    )

    seals = [block.get("signature", block.get("data")) for block in said["content"]]
    assert seals == ["s1", "penstock:gemini:s2", "", "penstock:responses:d", None]
    call = said["content"][-1]
    assert call["penstock_signature"] == "s3"
    sent = without_foreign(
        [{"role": "assistant", "content": said["content"]}, {"role": "user", "content": "go on"}]
    )
    assert [block["type"] for block in sent[0]["content"]] == ["thinking", "tool_use"]
    assert "penstock_signature" not in sent[0]["content"][1]
    assert sent[1] == {"role": "user", "content": "go on"}


def test_a_turn_of_nothing_but_foreign_thoughts_is_left_out() -> None:
    thought = {"type": "thinking", "thinking": "x", "signature": ""}
    own = {"type": "thinking", "thinking": "x", "signature": "s"}

    sent = without_foreign(
        [{"role": "assistant", "content": [thought]}, {"role": "assistant", "content": [own]}]
    )

    assert sent == [{"role": "assistant", "content": [own]}]


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        ({"input_tokens": 3, "output_tokens": 4}, Usage(3, 4)),
        (
            {
                "input_tokens": 3,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 20,
                "output_tokens": 9,
                "output_tokens_details": {"thinking_tokens": 5},
            },
            Usage(123, 9, cached_tokens=100, cache_write_tokens=20, reasoning_tokens=5),
        ),
        (
            {"input_tokens": 3, "cache_read_input_tokens": None, "output_tokens": 4},
            Usage(3, 4),
        ),
        ({"input_tokens": 3}, None),
        ({"input_tokens": -3, "output_tokens": 4}, None),
        ({"input_tokens": 10**12, "output_tokens": 4}, None),
        ({"input_tokens": True, "output_tokens": 4}, None),
        (None, None),
        ([], None),
    ],
)
def test_what_was_cached_counts_as_input(said: object, usage: Usage | None) -> None:
    assert read_usage(said) == usage
    if usage is not None:
        assert read_usage(write_usage(usage)) == usage
