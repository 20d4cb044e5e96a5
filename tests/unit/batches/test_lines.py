"""Every line that can be done is taken, and of every other it is said what is wrong and what to do."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from shared.batches.envelope import LONGEST_MESSAGE, LONGEST_PARAM
from shared.batches.lines import MOST_MODELS, Line, LineChecker, LineError
from shared.batches.options import BatchOptions
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import Priority
from shared.routing.catalog import load_catalog
from shared.settings import Settings

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Hi"}]}
LINE: dict[str, Any] = {"custom_id": "a", "method": "POST", "url": CHAT, "body": BODY}
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}
TASK = {"model": "sandbox/echo", "instructions": "Read.", "schema": SCHEMA}
CONFIG: dict[str, Any] = {
    "deployments": [
        {"name": "small", "provider": "sandbox", "model": "echo", "tpm": 100},
    ]
}
GONE = object()


def checker(**options: Any) -> LineChecker:
    return LineChecker(
        load_catalog(CONFIG, {}), Settings(max_body_bytes=10_000), BatchOptions(**options)
    )


def changed(**changes: Any) -> bytes:
    line = {**LINE, **changes}
    return orjson.dumps({name: value for name, value in line.items() if value is not GONE})


def with_body(**changes: Any) -> bytes:
    body = {**BODY, **changes}
    return changed(body={name: value for name, value in body.items() if value is not GONE})


def nested(levels: int) -> bytes:
    """Return a line that can be read, and would not be written."""
    return with_body(deep=0).replace(b'"deep":0', b'"deep":' + b"[" * levels + b"]" * levels)


def test_a_line() -> None:
    line = checker(endpoint=CHAT, max_attempts=3).check(changed(), 7)
    assert isinstance(line, Line)
    assert line.number == 7
    assert line.custom_id == "a"
    assert line.endpoint is Endpoint.CHAT
    assert line.model == "sandbox/echo"
    assert orjson.loads(line.body) == BODY
    assert line.tokens > 1000
    assert line.lane.startswith("sandbox/echo:")
    assert line.priority is Priority.BULK
    assert line.max_attempts == 3
    assert (line.tags, line.webhook, line.file_id) == ({}, None, None)


def test_what_a_line_may_say_of_itself() -> None:
    hook = {"url": "https://example.com/hook", "events": ["job.completed"]}
    raw = changed(priority="interactive", metadata={"a": "b"}, max_attempts=20, webhook=hook)
    line = checker().check(raw, 1)
    assert isinstance(line, Line)
    assert line.priority is Priority.INTERACTIVE
    assert line.tags == {"a": "b"}
    assert line.max_attempts == 20
    assert line.webhook == hook


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/v1/embeddings", {"model": "sandbox/echo", "input": ["a", "b"]}),
        ("/v1/documents", {**TASK, "file_id": "file-1"}),
    ],
)
def test_the_other_endpoints(url: str, body: Mapping[str, Any]) -> None:
    line = checker().check(changed(url=url, body=body), 1)
    assert isinstance(line, Line)
    assert line.endpoint == url
    assert line.file_id == body.get("file_id")


def test_a_file_with_the_task_of_its_batch() -> None:
    line = checker(task=TASK).check(b'{"custom_id":"a.pdf","file_id":"file-1"}', 1)
    assert isinstance(line, Line)
    assert line.endpoint is Endpoint.DOCUMENTS
    assert orjson.loads(line.body) == {"file_id": "file-1", **TASK}
    assert line.file_id == "file-1"


WRONG: list[tuple[bytes, str, str | None]] = [
    (b"{", "invalid_json_line", None),
    (b'{"custom_id": "\xff"}', "invalid_json_line", None),
    (b'{"custom_id": "\\ud800"}', "invalid_json_line", None),
    (b"[]", "invalid_json_line", None),
    (b"null", "invalid_json_line", None),
    (b"NaN", "invalid_json_line", None),
    (b"[" * 5000, "invalid_json_line", None),
    (changed(max_attemps=3), "unknown_parameter", "max_attemps"),
    (changed(file_id="file-1"), "unknown_parameter", "file_id"),
    (changed(custom_id=GONE), "missing_custom_id", "custom_id"),
    (changed(custom_id=None), "missing_custom_id", "custom_id"),
    (changed(custom_id=7), "invalid_custom_id", "custom_id"),
    (changed(custom_id=""), "invalid_custom_id", "custom_id"),
    (changed(custom_id="x" * 257), "invalid_custom_id", "custom_id"),
    (changed(custom_id="a\0b"), "invalid_custom_id", "custom_id"),
    (changed(method=GONE), "missing_required_parameter", "method"),
    (changed(method="GET"), "invalid_method", "method"),
    (changed(method=["POST"]), "invalid_method", "method"),
    (changed(url=GONE), "missing_required_parameter", "url"),
    (changed(url="/v1/moderations"), "invalid_url", "url"),
    (changed(url={}), "invalid_url", "url"),
    (changed(url="/v1/embeddings"), "mismatched_endpoint", "url"),
    (changed(body=GONE), "missing_required_parameter", "body"),
    (changed(body="x"), "invalid_request", "body"),
    (with_body(model=GONE), "missing_required_parameter", "body.model"),
    (with_body(model=7), "invalid_request", "body.model"),
    (with_body(model="gpt-none"), "model_not_found", "body.model"),
    (with_body(messages=GONE), "missing_required_parameter", "body.messages"),
    (with_body(messages=[]), "invalid_request", "body.messages"),
    (with_body(messages=["x"]), "invalid_request", "body.messages.0"),
    (with_body(n=0), "invalid_request", "body.n"),
    (with_body(stream=True), "invalid_request", "body.stream"),
    (with_body(stream="yes"), "invalid_request", "body.stream"),
    (nested(400), "invalid_request", "body"),
    (with_body(model="small", max_tokens=99), "request_too_large_for_limit", "body"),
    (changed(priority="urgent"), "invalid_request", "priority"),
    (changed(priority=None), "invalid_request", "priority"),
    (changed(max_attempts=0), "invalid_request", "max_attempts"),
    (changed(max_attempts=21), "invalid_request", "max_attempts"),
    (changed(max_attempts=True), "invalid_request", "max_attempts"),
    (changed(metadata=[]), "invalid_request", "metadata"),
    (changed(metadata={"a": 1}), "invalid_request", "metadata.a"),
    (changed(metadata={"a": "\0"}), "invalid_request", "metadata.a"),
    (changed(metadata={str(n): "" for n in range(17)}), "invalid_request", "metadata"),
    (changed(webhook={}), "invalid_request", "webhook.url"),
    (changed(webhook={"url": "https://x.com", "events": ["a"]}), "invalid_request", "webhook.events.0"),
    (changed(webhook={"url": "http://10.0.0.1/"}), "invalid_webhook_url", "webhook.url"),
    (b" " * 10_001, "line_too_long", None),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "code", "param"), WRONG)
def test_what_is_wrong_is_said(raw: bytes, code: str, param: str | None) -> None:
    error = checker(endpoint=CHAT).check(raw, 3)
    assert isinstance(error, LineError)
    assert (error.line, error.code, error.param) == (3, code, param)
    assert error.message
    assert len(error.message) < 600
    assert error.public() == {
        "code": code,
        "line": 3,
        "message": error.message,
        "param": param,
    }


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({**TASK}, "missing_required_parameter", "body.file_id"),
        ({**TASK, "file_id": "f", "more": 1}, "invalid_request", "body.more"),
        ({**TASK, "file_id": "f", "schema": {"type": 7}}, "invalid_schema", "body.schema"),
    ],
)
def test_what_is_wrong_with_a_document(body: Mapping[str, Any], code: str, param: str) -> None:
    error = checker().check(changed(url="/v1/documents", body=body), 1)
    assert isinstance(error, LineError)
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b'{"file_id":"f"}', "missing_custom_id", "custom_id"),
        (b'{"custom_id":"a"}', "missing_required_parameter", "file_id"),
        (b'{"custom_id":"a","file_id":""}', "invalid_request", "body.file_id"),
    ],
)
def test_what_is_wrong_with_a_file(raw: bytes, code: str, param: str) -> None:
    error = checker(task=TASK).check(raw, 1)
    assert isinstance(error, LineError)
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    "raw",
    [
        changed(url="\x00"),
        changed(method="\x00" * 100),
        changed(priority="\x00"),
        changed(metadata={"\x00": "a"}),
        changed(webhook={"url": "https://example.com", "\x00" * 5000: 1}),
        changed(url="/v1/documents", body={**TASK, "file_id": "file-1", "\x00": 1}),
        changed(url="/v1/documents", body={**TASK, "file_id": "file-1", "x" * 9000: 1}),
        changed(url=0).replace(b'"url":0', b'"url":' + b"[" * 1000 + b"]" * 1000),
        changed(method=0).replace(b'"method":0', b'"method":' + b'{"a":' * 900 + b"0" + b"}" * 900),
    ],
)
def test_what_is_said_of_a_line_can_always_be_stored(raw: bytes) -> None:
    error = checker().check(raw, 1)
    assert isinstance(error, LineError)
    assert len(error.message) <= LONGEST_MESSAGE
    assert len(error.param or "") <= LONGEST_PARAM
    assert b"\\u0000" not in orjson.dumps(error.public())


def test_a_custom_id_is_used_once() -> None:
    lines = checker()
    wrong = lines.check(changed(custom_id="x", method="PUT"), 1)
    first = lines.check(changed(custom_id="x"), 2)
    second = lines.check(changed(custom_id="x"), 3)
    assert isinstance(wrong, LineError)
    # A line that is wrong keeps no other from its name.
    assert isinstance(first, Line)
    assert isinstance(second, LineError)
    assert (second.line, second.code) == (3, "duplicate_custom_id")
    assert "`x`" in second.message


def test_the_same_flaw_is_told_of_every_line() -> None:
    lines = checker()
    errors = [lines.check(with_body(model="none"), number) for number in (1, 2)]
    assert [error.line for error in errors if isinstance(error, LineError)] == [1, 2]


def test_huge_limits_fit_a_column() -> None:
    line = checker().check(with_body(max_tokens=2**64 - 1, n=128), 1)
    assert isinstance(line, Line)
    assert 0 < line.tokens < 2**63


def test_lines_that_are_read_again() -> None:
    first = checker().check(changed(), 1)
    lines = LineChecker(load_catalog(CONFIG, {}), Settings(), BatchOptions(), again=True)
    assert [lines.check(changed(), 1), lines.check(changed(), 1)] == [first, first]


def test_tokens_are_counted_where_there_is_a_limit() -> None:
    lines = checker()
    lines.counting = False
    free = lines.check(changed(), 1)
    error = lines.check(with_body(model="small"), 2)
    assert isinstance(free, Line)
    assert free.tokens == 0
    assert isinstance(error, LineError)
    assert error.code == "request_too_large_for_limit"


def test_lines_name_a_thousand_models_at_the_most() -> None:
    check = checker()
    for number in range(MOST_MODELS):
        assert isinstance(check.check(_of_model(number), number), Line)

    error = check.check(_of_model(MOST_MODELS), MOST_MODELS)

    assert isinstance(error, LineError)
    assert (error.code, error.param) == ("too_many_models", "body.model")
    assert isinstance(check.check(_of_model(1, name="again"), 0), Line)


def _of_model(number: int, *, name: str = "c") -> bytes:
    body = {**BODY, "model": f"sandbox/{number}"}
    return changed(custom_id=f"{name}{number}", body=body)
