"""One ended line as JSON, as OpenAI's files have it and as three public clients read it."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.batches.results import ascii_json, file_line, is_output, stream_line
from shared.jobs.transitions import JobState

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Grüße 🎉\u2028"}}]}
FAILURES = [
    ("bad_request", None, 400, "bad_request"),
    ("timeout", None, 504, "timeout"),
    ("unavailable", None, 502, "unavailable"),
    ("malformed_response", None, 502, "malformed_response"),
    ("poison", None, 500, "internal_error"),
    ("internal_error", None, 500, "internal_error"),
    ("bad_request", b'{"error":{"code":"invalid_image","param":"image"}}', 400, "invalid_image"),
]


def job(state: JobState = JobState.COMPLETED, **more: Any) -> dict[str, Any]:
    done = state is JobState.COMPLETED
    return {
        "id": "job_0123456789",
        "custom_id": "row-1",
        "state": state,
        "reason": None,
        "error": None if done else {"code": "bad_request", "message": "No such thing."},
        "deleted_at": None,
        "line": 7,
        "outcome_number": 3,
        "input_tokens": 9,
        "output_tokens": 3,
        "cached_tokens": 0,
        "cost_nanousd": 123_000,
        "status_code": 200 if done else None,
        **more,
    }


def failed(code: str) -> dict[str, Any]:
    return job(JobState.FAILED, error={"code": code, "message": "It failed."})


class Strict(BaseModel):
    """Nothing more than is named, and nothing of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class LineResponse(Strict):
    """What had an HTTP status, whichever it was."""

    status_code: int = Field(ge=100, le=599)
    request_id: str = Field(min_length=1)
    body: JsonValue


class LineError(Strict):
    """Why there was no HTTP status."""

    code: str
    message: str


class FileLine(Strict):
    """A line of OpenAI's output and error files, by the strictest reading of its contract."""

    id: str = Field(pattern=r"^batch_req_\w+$")
    custom_id: str | None
    response: LineResponse | None
    error: LineError | None


OF_STREAM = ("number", "line", "job_id", "status", "usage", "cost_usd")


def read(line: bytes) -> dict[str, Any]:
    """Read a line as any client can: ASCII, one line however it is split, as the contract has it."""
    assert line.isascii()
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    value: dict[str, Any] = json.loads(line)
    told = {name: each for name, each in value.items() if name not in OF_STREAM}
    found = FileLine.model_validate(told)
    assert (found.response is None) != (found.error is None)
    if found.response is not None and found.response.status_code >= 400:
        body = found.response.body
        assert isinstance(body, dict)
        assert list(body) == ["error"]
    return value


def curators_reading(line: dict[str, Any]) -> list[str] | None:
    """It indexes the response of every line of the output file, and reads no other."""
    if line["response"]["status_code"] != 200:
        return [str(line["response"]["status_code"])]
    assert line["response"]["body"]["choices"][0]["message"]["content"]
    return None


def instructors_reading(line: dict[str, Any]) -> str:
    """It reads the output file alone, and every line of it as an answer."""
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def inspects_reading(line: dict[str, Any]) -> tuple[str, Any]:
    """It reads both files: the body of the response, unless there is an error with a code.

    The body it takes for a completion, in the error file too, where it is none by the contract.
    """
    assert line["custom_id"]
    error = line.get("error")
    return ("body", line["response"]["body"]) if error is None else ("error", error["code"])


def test_an_answer_is_a_response_without_an_error() -> None:
    line = read(file_line(job(), orjson.dumps(ANSWER)))

    assert line == {
        "id": "batch_req_0123456789",
        "custom_id": "row-1",
        "response": {"status_code": 200, "request_id": "job_0123456789", "body": ANSWER},
        "error": None,
    }
    assert curators_reading(line) is None
    assert instructors_reading(line) == "Grüße 🎉\u2028"
    assert inspects_reading(line) == ("body", ANSWER)


@pytest.mark.parametrize(("code", "answer", "status", "said"), FAILURES)
def test_what_has_a_status_is_a_response_too(
    code: str, answer: bytes | None, status: int, said: str
) -> None:
    row = failed(code)
    line = read(file_line(row, answer))

    assert not is_output(row)
    assert line["error"] is None
    assert line["response"]["status_code"] == status
    assert line["response"]["body"]["error"]["code"] == said
    assert set(line["response"]["body"]["error"]) == {"message", "type", "param", "code"}
    assert curators_reading(line) == [str(status)]
    assert inspects_reading(line)[0] == "body"


@pytest.mark.parametrize(
    ("state", "code"),
    [(JobState.CANCELLED, "batch_cancelled"), (JobState.EXPIRED, "batch_expired")],
)
def test_only_what_was_never_done_has_an_error(state: JobState, code: str) -> None:
    row = job(state, error={"code": "x", "message": "Its time was over."})
    line = read(file_line(row, None))

    assert not is_output(row), "curator would fall over it in the output file"
    assert line["response"] is None
    assert line["error"] == {"code": code, "message": "Its time was over."}
    assert inspects_reading(line) == ("error", code)


def test_a_deleted_line_says_so_and_is_no_output() -> None:
    row = job(deleted_at=1, custom_id=None)
    line = read(file_line(row, None))

    assert not is_output(row)
    assert (line["custom_id"], line["response"]) == (None, None)
    assert line["error"]["code"] == "line_deleted"


def test_an_answer_that_is_lost_is_a_failure_and_not_a_wrong_line() -> None:
    line = read(file_line(job(), None))

    assert curators_reading(line) == ["500"]
    assert line["response"]["body"]["error"]["code"] == "result_lost"


def test_the_stream_says_what_the_files_do_not() -> None:
    line = read(stream_line(job(), b"{}"))

    assert {name: line[name] for name in ("number", "line", "job_id", "status", "cost_usd")} == {
        "number": 3,
        "line": 7,
        "job_id": "job_0123456789",
        "status": "completed",
        "cost_usd": "0.000123",
    }
    assert line["usage"] == {"input_tokens": 9, "output_tokens": 3, "cached_tokens": 0}
    assert line["response"]["body"] == {}


def test_names_are_spelled_as_json() -> None:
    name = 'Zürich "7"\n\u2028'

    assert read(file_line(job(custom_id=name), b"{}"))["custom_id"] == name


@pytest.mark.parametrize(
    "body", [b'{\n "a": 1.10,\r\n "b": 12345678901234567890123\n}', b'{"a":1}']
)
def test_a_body_is_copied_and_only_its_line_ends_go(body: bytes) -> None:
    spelled = ascii_json(body)

    assert b"\n" not in spelled
    assert spelled.split() == body.split()


@given(st.recursive(st.none() | st.text() | st.floats(allow_nan=False), st.lists))
def test_whatever_the_body_is_it_reads_the_same(value: Any) -> None:
    body = json.dumps(value, ensure_ascii=False, indent=1).encode(errors="replace")
    line = read(file_line(job(), body))

    assert line["response"]["body"] == json.loads(body)
