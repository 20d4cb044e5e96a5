"""One ended line of a batch as JSON, for the files and for the stream of results; pure.

What was stored of an answer is copied as it is, never parsed. All is ASCII on one line: many
readers split a file at every separator that Unicode knows.
"""

import re
from json.encoder import encode_basestring_ascii
from typing import Any

import orjson

from shared.database import Row
from shared.errors import openai_error
from shared.jobs.failures import failure_of
from shared.jobs.transitions import JobState
from shared.jobs.view import usage_of, usd

LOST = 500
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")
_CODES = {JobState.CANCELLED: "batch_cancelled", JobState.EXPIRED: "batch_expired"}
_NULL = b"null"
_OF_ERROR = ("message", "type", "param", "code")


def file_line(job: Row, body: bytes | None) -> bytes:
    """Spell an ended line as OpenAI's output and error files have it, with the line's end.

    `job` is its row with the `status_code` of its result; `body` is that result, where there is
    one. Whatever has an HTTP status is a `response`, also a failure of our own; only a line that
    was cancelled, expired or deleted has an `error` instead.
    """
    return b"{" + _line(job, body) + b"}\n"


def stream_line(job: Row, body: bytes | None) -> bytes:
    """Spell it with what OpenAI's files do not say: its number and line, its job, what it cost."""
    mine = {
        "number": job["outcome_number"],
        "line": job["line"],
        "job_id": job["id"],
        "status": job["state"],
    }
    more = {"usage": usage_of(job), "cost_usd": usd(job["cost_nanousd"])}
    parts = (orjson.dumps(mine)[:-1], _line(job, body), orjson.dumps(more)[1:])
    return b",".join(parts) + b"\n"


def ascii_json(body: bytes) -> bytes:
    """Return the same JSON as ASCII on one line."""
    if not body.isascii():
        # Beyond ASCII there are only parts of strings, without quotes or backslashes.
        body = _BEYOND_ASCII.sub(_escaped, body.decode(errors="replace")).encode()
    # Within strings line ends are escaped, elsewhere they are as good as spaces.
    return body.translate(_LINE_ENDS) if b"\n" in body or b"\r" in body else body


def is_output(job: Row) -> bool:
    """Tell whether the line belongs into the output file; all others are in the error file."""
    return bool(job["state"] == JobState.COMPLETED and job["deleted_at"] is None)


def _escaped(found: re.Match[str]) -> str:
    return encode_basestring_ascii(found[0])[1:-1]


def _line(job: Row, body: bytes | None) -> bytes:
    custom_id = job["custom_id"]
    response, error = _answer(job, body)
    return b'"id":"batch_req_%b","custom_id":%b,"response":%b,"error":%b' % (
        job["id"].removeprefix("job_").encode(),
        _NULL if custom_id is None else encode_basestring_ascii(custom_id).encode(),
        response,
        error,
    )


def _answer(job: Row, body: bytes | None) -> tuple[bytes, bytes]:
    if job["deleted_at"] is not None:
        return _NULL, _error("line_deleted", "The line's request and answer were deleted.")
    if (code := _CODES.get(job["state"])) is not None:
        said = (job["error"] or {}).get("message")
        return _NULL, _error(code, str(said or "The line was not done."))
    failure = failure_of(job, body)
    if failure is not None:
        # The line says already of which job this is, and how it ended.
        told = openai_error(failure)
        error = {name: told[name] for name in _OF_ERROR}
        return _response(job, failure.status, _json({"error": error})), _NULL
    if body is None:
        return _response(job, LOST, _json(_NO_BODY)), _NULL
    return _response(job, job["status_code"], ascii_json(body)), _NULL


_NO_BODY = {
    "error": {
        "message": "The answer that was stored for this line cannot be found any more.",
        "type": "server_error",
        "param": None,
        "code": "result_lost",
    }
}


def _response(job: Row, status: int, body: bytes) -> bytes:
    head = b'{"status_code":%d,"request_id":"%b","body":' % (status, job["id"].encode())
    return head + body + b"}"


def _error(code: str, message: str) -> bytes:
    return _json({"code": code, "message": message})


def _json(value: Any) -> bytes:
    return ascii_json(orjson.dumps(value))
