"""Answers of OpenAI's Responses: strict, with what was asked in them, and ours whoever said them."""

from typing import Any

import orjson

from shared.dialects.bridge import Bridge
from shared.dialects.responses.resource import is_incomplete, response_id
from shared.dialects.responses.thoughts import MARK
from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Head
from shared.inference.conversation import (
    Message,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
)
from shared.inference.dialect import Dialect
from shared.inference.generation import (
    Began,
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationRequest,
    GenerationResponse,
    TextDelta,
    ToolCallBegan,
    ToolCallDelta,
)
from shared.inference.usage import Usage

HEAD = Head("1", "team/model", 1_700_000_000)
HELLO = (Message(Role.USER, (Text("hello"),)),)
USAGE = Usage(9, 5, 4, 1, 2)


def read(**body: Any) -> GenerationRequest:
    return RESPONSES.read_request({"model": "m", "input": "hello", **body})


def turns(*items: dict[str, Any]) -> tuple[Message, ...]:
    return read(input=list(items)).messages


def written(*parts: Any, finish: Finish = Finish.STOP, **asked: Any) -> dict[str, Any]:
    answer = GenerationResponse("x", "y", (Choice(parts, finish),), USAGE)
    return RESPONSES.write_answer(answer, HEAD, asked)


def test_a_response_repeats_its_request_with_every_field_there() -> None:
    tool = {"type": "function", "name": "f"}
    whole = written(
        Text("hi"),
        tools=[tool, {"type": "web_search"}],
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
        reasoning={"effort": "low"},
        metadata={"a": "b"},
        store=False,
        temperature=None,
    )
    assert whole["id"] == response_id("job_1") == "resp_1"
    assert (whole["model"], whole["created_at"]) == ("team/model", 1_700_000_000)
    assert whole["tools"] == [
        {**tool, "description": None, "parameters": None, "strict": None},
        {"type": "web_search"},
    ]
    assert whole["text"]["format"]["strict"] is None
    assert whole["text"]["verbosity"] == "low"
    assert whole["reasoning"] == {"effort": "low", "summary": None}
    assert (whole["store"], whole["temperature"], whole["tool_choice"]) == (False, 1.0, "auto")
    assert written(Text("hi"))["text"] == {"format": {"type": "text"}}
    assert whole["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 14,
    }


def test_items_are_named_after_their_answer() -> None:
    whole = written(Text("a"), Refusal("b"), ToolCall("c", "f", "{}", "sig"), Text("d"))
    message, call, last = whole["output"]
    assert [each["id"] for each in whole["output"]] == ["msg_1_0", "fc_1_1", "msg_1_2"]
    assert [each["type"] for each in message["content"]] == ["output_text", "refusal"]
    assert message["content"][0] == {
        "type": "output_text",
        "text": "a",
        "annotations": [],
        "logprobs": [],
    }
    assert (call["call_id"], call["penstock_signature"]) == ("c", "sig")
    assert {each["status"] for each in (message, call, last)} == {"completed"}


def test_an_answer_that_was_cut_says_why() -> None:
    whole = written(Text("a"), Text("b"), finish=Finish.CONTENT_FILTER)
    assert (whole["status"], whole["output"][-1]["status"]) == ("incomplete", "incomplete")
    assert whole["incomplete_details"] == {"reason": "content_filter"}


def test_whether_it_was_cut_shows_in_its_bytes() -> None:
    said = 'they wrote "incomplete_details":{"reason":"x"}'
    assert not is_incomplete(orjson.dumps(written(Text(said))))
    assert is_incomplete(orjson.dumps(written(Text(said), finish=Finish.LENGTH)))


def test_another_providers_signature_comes_back_to_it_alone() -> None:
    thought = Thinking("hm", "sig", None, Dialect.MESSAGES)
    (item,) = written(thought)["output"]
    assert item["encrypted_content"].startswith(MARK)
    assert turns(item) == (Message(Role.ASSISTANT, (thought,)),)
    spoiled = {**item, "encrypted_content": MARK + "!"}
    assert turns(spoiled) == (Message(Role.ASSISTANT, (Thinking("hm"),)),)
    # And to no provider of this dialect.
    request = GenerationRequest((Message(Role.ASSISTANT, (thought, Text("x"))),))
    assert [each["type"] for each in RESPONSES.write_request(request).body["input"]] == ["message"]


def test_its_own_thoughts_come_back_as_they_were() -> None:
    own = {"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "gAAA"}
    (message,) = turns(own)
    request = GenerationRequest((*HELLO, message))
    assert RESPONSES.write_request(request).body["input"][1] == own


def test_calls_whose_pieces_come_by_turns_are_kept_apart() -> None:
    encoder, joined = RESPONSES.encoder(HEAD, {}), RESPONSES.joined()
    deltas: list[Delta] = [
        Began("x", "y"),
        ToolCallBegan(0, 0, "a", "f"),
        ToolCallBegan(0, 1, "", "g"),
        ToolCallDelta(0, 0, "{"),
        ToolCallDelta(0, 1, "[]"),
        ToolCallDelta(0, 0, "}"),
        TextDelta(1, "of another choice"),
        Finished(0, Finish.TOOL_CALLS),
    ]
    for event in [*(each for delta in deltas for each in encoder.write(delta)), *encoder.end()]:
        joined.add(event)
    calls = joined.whole()["output"]
    assert [(each["call_id"], each["arguments"]) for each in calls] == [
        ("a", "{}"),
        ("call_1_1", "[]"),
    ]
    assert joined.said() == "{[]}"


def test_a_response_of_the_same_dialect_becomes_ours() -> None:
    bridge = Bridge(Dialect.RESPONSES, Dialect.RESPONSES)
    asked = {"background": True, "metadata": {"a": "b"}, "previous_response_id": "resp_0"}
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    theirs = {
        "id": "resp_theirs",
        "object": "response",
        "created_at": 1,
        "model": "gpt-2026-01-01",
        "status": "completed",
        "output": [item],
        "store": False,
        "novel": 1,
        "top_p": 0.98,
        "previous_response_id": None,
    }
    ours = bridge.answer(theirs, HEAD, asked)
    assert not bridge.transparent
    assert (ours["id"], ours["model"], ours["created_at"]) == (
        "resp_1",
        "team/model",
        1_700_000_000,
    )
    assert (ours["background"], ours["store"]) == (True, True)
    assert (ours["previous_response_id"], ours["metadata"]) == ("resp_0", {"a": "b"})
    assert (ours["output"], ours["novel"], ours["top_p"]) == ([item], 1, 0.98)
    assert ours["truncation"] == "disabled"

    stream = bridge.stream(HEAD, asked)
    (created,) = stream.feed({"type": "response.created", "response": theirs})
    assert created["response"] == ours
    delta = {"type": "response.web_search_call.searching", "item_id": "ws_1", "output_index": 0}
    assert stream.feed(delta) == (delta,)
    assert stream.end() == ()
