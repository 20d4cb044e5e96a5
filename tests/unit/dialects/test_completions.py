"""Legacy completions: what a conversation can say of them, and what not."""

from typing import Any

import pytest
from pydantic import JsonValue

from shared.dialects.completions.translator import COMPLETIONS
from shared.dialects.translator import Head, Unreadable, Unsupported
from shared.inference.conversation import (
    Format,
    Media,
    MediaKind,
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
)
from shared.inference.generation import (
    Began,
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationRequest,
    GenerationResponse,
    RefusalDelta,
    TextDelta,
    ThinkingDelta,
    Tuning,
    Used,
)
from shared.inference.usage import Usage

HEAD = Head("a1", "best", 1_700_000_000)
ONCE = (Message(Role.USER, (Text("Once"),)),)


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_a_prompt_is_what_a_user_says(prompt: Any) -> None:
    body = {
        "model": "m",
        "prompt": prompt,
        "max_tokens": 5,
        "stop": "x",
        "n": 2,
        "logprobs": 3,
        "seed": 1,
        "best_of": 4,
        "echo": False,
        "suffix": None,
        "stream_options": {"include_usage": True},
    }

    assert COMPLETIONS.read_request(body) == GenerationRequest(
        ONCE,
        max_tokens=5,
        stop=("x",),
        choices=2,
        logprobs=3,
        tuning=Tuning(seed=1),
        unknown=("best_of",),
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": "a", "echo": True}, "echo"),
        ({"prompt": "a", "suffix": "b"}, "suffix"),
    ],
)
def test_what_no_conversation_says_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as raised:
        COMPLETIONS.read_request(body)

    assert raised.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": 1}, "prompt"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "echo": "yes"}, "echo"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Unreadable) as raised:
        COMPLETIONS.read_request(body)

    assert raised.value.param == param


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (GenerationRequest((*ONCE, *ONCE)), "conversation"),
        (GenerationRequest((Message(Role.SYSTEM, (Text("a"),)),)), "conversation"),
        (GenerationRequest(ONCE, tools=(Tool("f"),)), "tools"),
        (GenerationRequest(ONCE, format=Format()), "JSON"),
        (
            GenerationRequest((Message(Role.USER, (Media(MediaKind.IMAGE, data="AA=="),)),)),
            "not text",
        ),
    ],
)
def test_more_than_a_text_cannot_be_asked(request_: GenerationRequest, word: str) -> None:
    with pytest.raises(Unsupported, match=word):
        COMPLETIONS.write_request(request_)


def test_what_has_no_place_is_told() -> None:
    tuning = Tuning(effort="low", top_k=3, verbosity="low", service_tier="auto", top_p=0.5)

    written = COMPLETIONS.write_request(GenerationRequest(ONCE, tuning=tuning))

    assert written.body == {"prompt": "Once", "top_p": 0.5}
    assert set(written.dropped) == {"effort", "top_k", "verbosity", "service_tier"}


def test_an_answer_has_every_member_that_clients_read() -> None:
    choices = (
        Choice((Thinking("hm"), Text("upon")), Finish.LENGTH),
        Choice((Refusal("no"),), Finish.TOOL_CALLS),
    )
    answer = GenerationResponse("x", "theirs", choices, Usage(1, 2))

    written = COMPLETIONS.write_answer(answer, HEAD, {})

    assert written["usage"]["total_tokens"] == 3
    assert {name: written[name] for name in ("id", "object", "created", "model", "choices")} == {
        "id": "cmpl-a1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "best",
        "choices": [
            {"index": 0, "text": "upon", "logprobs": None, "finish_reason": "length"},
            {"index": 1, "text": "no", "logprobs": None, "finish_reason": "stop"},
        ],
    }


def test_probabilities_stand_in_columns_and_count_on_in_a_stream() -> None:
    top: list[JsonValue] = [{"token": "a", "logprob": -0.5, "bytes": None}]
    told: dict[str, JsonValue] = {
        "content": [{"token": "ab", "logprob": -0.5, "bytes": None, "top_logprobs": top}]
    }
    encoder = COMPLETIONS.encoder(HEAD, {})

    events = [each for _ in range(2) for each in encoder.write(TextDelta(0, "ab", told))]

    columns = [event["choices"][0]["logprobs"] for event in events]
    first = {"tokens": ["ab"], "token_logprobs": [-0.5], "top_logprobs": [{"a": -0.5}]}
    assert columns == [{**first, "text_offset": [0]}, {**first, "text_offset": [2]}]
    read = COMPLETIONS.decoder().read(events[0])
    assert read[1] == TextDelta(0, "ab", told)


def test_a_stream_has_texts_only_and_its_usage_last() -> None:
    encoder = COMPLETIONS.encoder(HEAD, {})
    deltas: list[Delta] = [
        Began("x", "theirs"),
        ThinkingDelta(0, "hm"),
        TextDelta(0, "upon"),
        RefusalDelta(1, "no"),
        Used(Usage(1, 2)),
        Finished(0, Finish.STOP),
        Finished(1, Finish.CONTENT_FILTER),
    ]

    events = [event for delta in deltas for event in encoder.write(delta)]
    (last,) = encoder.end()

    parts = [event["choices"][0] for event in events]
    assert [(part["index"], part["text"], part["finish_reason"]) for part in parts] == [
        (0, "upon", None),
        (1, "no", None),
        (0, "", "stop"),
        (1, "", "content_filter"),
    ]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 3)
