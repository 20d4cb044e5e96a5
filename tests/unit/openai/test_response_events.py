"""The events of a response: numbered alike whenever they are told, and whole whatever was lost."""

from typing import Any

import orjson
import pytest

from api.direct.failures import StreamBroken
from api.openai.responses.events import ResponseEvents
from api.openai.responses.stored import StoredResponse
from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Head
from shared.inference.conversation import Refusal, Text, Thinking, ToolCall
from shared.inference.generation import (
    Began,
    Choice,
    Delta,
    Finish,
    Finished,
    GenerationResponse,
    TextDelta,
    ThinkingDelta,
    ToolCallBegan,
    ToolCallDelta,
    Used,
)
from shared.inference.usage import Usage
from shared.jobs.failures import JobFailed
from shared.jobs.reader import FullJob

HEAD = Head("1", "m", 1_700_000_000)
JOB = {"id": "job_1", "model": "m", "created_at": 1_700_000_000_000, "finished_at": None}
USAGE = Usage(3, 5)
DELTAS: list[Delta] = [
    Began("x", "y"),
    ThinkingDelta(0, "hm"),
    ThinkingDelta(0, "", "signed"),
    TextDelta(0, "it is "),
    TextDelta(0, "\u2028seven"),
    ToolCallBegan(0, 0, "call_1", "add"),
    ToolCallDelta(0, 0, '{"a"'),
    ToolCallDelta(0, 0, ":7}"),
    Finished(0, Finish.TOOL_CALLS),
    Used(USAGE),
]
PARTS = (
    Thinking("hm", "signed"),
    Text("it is \u2028seven"),
    ToolCall("call_1", "add", '{"a":7}'),
)


def logged(deltas: list[Delta] = DELTAS) -> list[dict[str, Any]]:
    encoder = RESPONSES.encoder(HEAD, {})
    return [*(event for delta in deltas for event in encoder.write(delta)), *encoder.end()]


def whole(*parts: Any, finish: Finish = Finish.TOOL_CALLS) -> dict[str, Any]:
    answer = GenerationResponse("x", "y", (Choice(parts or PARTS, finish),), USAGE)
    return RESPONSES.write_answer(answer, HEAD, {})


def framing(*, after: int = -1, only_end: bool = False, **asked: Any) -> ResponseEvents:
    stored = StoredResponse(FullJob(JOB, (), None), asked)
    return ResponseEvents(stored, after=after, only_end=only_end)


def read(raw: bytes) -> list[dict[str, Any]]:
    assert raw.isascii()
    found = []
    for block in raw.split(b"\n\n")[:-1]:
        name, data = block.split(b"\n")
        event = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        found.append(event)
    return found


def told(frames: ResponseEvents, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    pieces = [frames.opening(), *(frames.encode(orjson.dumps([each])) for each in events)]
    return read(b"".join([*pieces, frames.end()]))


def test_events_are_numbered_from_0_without_a_gap() -> None:
    events = told(framing(), logged())
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    assert [each["type"] for each in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert {each["response"]["id"] for each in events if "response" in each} == {"resp_1"}
    assert events[0]["response"]["output"] == []
    last = events[-1]["response"]
    done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    assert last["output"] == done
    assert last == {**whole(), "completed_at": last["completed_at"]}
    assert last["completed_at"] > HEAD.created_s


def test_one_in_the_background_is_there_at_once_and_queued() -> None:
    frames = framing(background=True)
    created, queued = read(frames.opening())
    assert (created["type"], queued["type"]) == ("response.created", "response.queued")
    assert queued["response"]["status"] == "queued"
    assert read(frames.encode(orjson.dumps(logged()[:2])))[0]["sequence_number"] == 2
    assert framing().opening() == b""


def test_the_last_event_waits_for_the_end_to_be_stored() -> None:
    frames = framing()
    before = read(frames.encode(orjson.dumps(logged())))
    assert before[-1]["type"] == "response.output_item.done"
    assert read(frames.end())[0]["type"] == "response.completed"


@pytest.mark.parametrize("after", range(-1, 21))
def test_who_comes_back_has_what_follows_and_nothing_else(after: int) -> None:
    everything = told(framing(background=True), logged())
    assert len(everything) == 22
    assert told(framing(background=True, after=after), logged()) == everything[after + 1 :]


@pytest.mark.parametrize("after", [21, 22, 5000])
def test_the_last_event_is_told_even_to_one_who_claims_to_have_more(after: int) -> None:
    (last,) = told(framing(background=True, after=after), logged())
    assert (last["type"], last["sequence_number"]) == ("response.completed", after + 1)


@pytest.mark.parametrize("heard", range(len(logged())))
def test_what_was_lost_comes_with_the_whole_answer(heard: int) -> None:
    frames = framing()
    pieces = [frames.opening(), frames.encode(orjson.dumps(logged()[:heard]))]
    assert frames.lacks_something
    events = read(b"".join([*pieces, frames.rest(whole()), frames.end()]))

    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    complete = told(framing(), logged())
    strip = {"sequence_number", "completed_at", "response"}

    def shape(found: list[dict[str, Any]], kinds: str) -> list[dict[str, Any]]:
        rows = [each for each in found if each["type"].endswith(kinds)]
        return [{k: v for k, v in each.items() if k not in strip} for each in rows]

    for kinds in ("added", ".done", "completed"):
        assert shape(events, kinds) == shape(complete, kinds)
    text = [each["delta"] for each in events if each["type"] == "response.output_text.delta"]
    assert "".join(text) == "it is \u2028seven"


def test_another_answer_cannot_take_the_place_of_one_that_was_begun() -> None:
    frames = framing()
    frames.encode(orjson.dumps(logged()[:9]))
    assert frames.begun
    with pytest.raises(StreamBroken):
        frames.rest(whole(Text("something else"), finish=Finish.STOP))


def test_of_one_that_began_again_only_the_end_is_told() -> None:
    (last,) = told(framing(background=True, after=4, only_end=True), logged())
    assert last["type"] == "response.completed"
    assert last["sequence_number"] == 21


def test_items_that_nobody_knows_are_told_whole() -> None:
    answer = whole(Refusal("no"), finish=Finish.STOP)
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {}}
    answer["output"].insert(0, search)
    events = read(framing().rest(answer))
    assert [each["item"] for each in events if each.get("output_index") == 0] == [search, search]
    assert "response.refusal.done" in [each["type"] for each in events]


def test_an_answer_that_was_cut_ends_with_another_word() -> None:
    frames = framing()
    events = read(frames.rest(whole(Text("ab"), finish=Finish.LENGTH)) + frames.end())
    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["response"]["completed_at"] is None


@pytest.mark.parametrize(("status", "code"), [("failed", "invalid_prompt"), ("cancelled", None)])
def test_a_job_that_failed_fails_the_response(status: str, code: str | None) -> None:
    error = JobFailed("m", status=400, extra={"job_status": status})
    frames = framing()
    frames.encode(orjson.dumps(logged()[:5]))
    (failed,) = read(frames.failed(error, {}))
    assert failed["type"] == "response.failed"
    assert failed["sequence_number"] == 5
    assert failed["response"]["status"] == status
    assert failed["response"]["error"] == (code and {"code": code, "message": "m"})


def test_a_stream_that_breaks_says_so_as_clients_read_it() -> None:
    created, broken = read(framing().failed(StreamBroken("m"), {}))
    assert created["type"] == "response.created"
    assert (broken["type"], broken["code"], broken["message"]) == ("error", "stream_broken", "m")
    assert broken["error"]["code"] == "stream_broken"
