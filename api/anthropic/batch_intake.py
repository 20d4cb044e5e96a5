"""From the body of a new message batch to lines in the blob store: read, checked and written as it arrives."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request

from api.anthropic.version import check, version_of, with_betas
from api.batches.checking import Findings
from api.batches.cutter import BodyCutter
from api.batches.given import REQUESTS, elements_of, parse_element, write_lines
from api.batches.sources import Pile, pile_of_lines
from api.body import announced_bytes
from shared.batches.lines import LineChecker, LineError
from shared.errors import BadRequest, TooLarge
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources

MOST_REQUESTS = 100_000
MOST_BYTES = 256 * 1024 * 1024
MOST_FRAME_BYTES = 1024 * 1024
"""Of commas and spaces between the requests."""
_NAME = "requests"
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_KNOWN = frozenset({"custom_id", "params"})
_ENVELOPE_BYTES = 1024


class Intake:
    """The requests of one new batch, checked one by one."""

    def __init__(self, request: Request, checker: LineChecker, resources: Resources) -> None:
        """Begin; whatever the request's headers say holds for all of its requests.

        Raises:
            BadRequest: they say what is not known.
        """
        settings = resources.settings
        self._resources = resources
        self._checker = checker
        self._request = request
        self._version = version_of(request)
        self._asked_too = with_betas(request, {})
        self._most = min(MOST_REQUESTS, settings.max_batch_lines)
        longest = settings.max_body_bytes + _ENVELOPE_BYTES
        self._cutter = BodyCutter(REQUESTS, longest=longest, most_frame=MOST_FRAME_BYTES)
        self._findings = Findings()

    async def receive(self) -> Pile:
        """Store the lines of a body; on failure nothing is kept.

        Raises:
            BadRequest, TooLarge: it names the request that cannot be done.
        """
        self._refuse_large(announced_bytes(self._request))
        received = await write_lines(
            self._resources.blobs,
            elements_of(self._cutter, self._pieces()),
            self._line,
            name="message_batch.jsonl",
            finish=self._finish,
        )
        return pile_of_lines(received, self._findings, checked=True)

    async def _pieces(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._request.stream():
            size += len(piece)
            self._refuse_large(size)
            yield piece

    def _finish(self) -> None:
        _check_frame(self._cutter.finish(), self._cutter.count)

    def _line(self, raw: bytes, number: int) -> bytes:
        if number > self._most:
            detail = f"The batch has more than {self._most} requests: split it."
            raise TooLarge(
                detail, code="too_many_lines", param="requests", extra={"limit": self._most}
            )
        at = f"requests.{number - 1}"
        custom_id, params = _read(raw, number)
        check(self._version, params, at=f"{at}.params.")
        envelope = {"custom_id": custom_id, "method": "POST", "url": Endpoint.MESSAGES}
        line = _written({**envelope, "body": {**params, **self._asked_too}}, at)
        checked = self._checker.check(line, number)
        if isinstance(checked, LineError):
            raise _refused(checked, at)
        self._findings.add(checked)
        return line

    def _refuse_large(self, size: int) -> None:
        if size > MOST_BYTES:
            detail = f"The body is larger than {MOST_BYTES} bytes: make several batches of it."
            raise TooLarge(detail, code="body_too_large", extra={"limit": MOST_BYTES})


def _check_frame(raw: bytes, count: int) -> None:
    """Look at what stood round the requests."""
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_requests("The body is not valid JSON", "invalid_json") from error
    if not isinstance(frame, dict) or _NAME not in frame:
        raise _not_requests(f"`{_NAME}` is missing", "missing_field")
    if unknown := sorted(frame.keys() - {_NAME}):
        name = unknown[0][:64]
        detail = f"`{name}` is not known here: remove it, or correct its name."
        raise BadRequest(detail, param=name, code="invalid_field")
    if not count or frame[_NAME] != [0] * count:
        raise _not_requests(f"`{_NAME}` must be a list of one or more objects", "invalid_field")


def _not_requests(what: str, code: str) -> BadRequest:
    detail = f'{what}: send {{"requests": [{{"custom_id": "…", "params": {{…}}}}, …]}}.'
    return BadRequest(detail, param=_NAME, code=code)


def _read(raw: bytes, number: int) -> tuple[str, Mapping[str, Any]]:
    given, at = parse_element(raw, number), f"requests.{number - 1}"
    if not isinstance(given, dict):
        detail = f"`{at}` must be an object: a request has `custom_id` and `params`."
        raise BadRequest(detail, param=at, code="invalid_field")
    if unknown := sorted(given.keys() - _KNOWN):
        where = f"{at}.{unknown[0][:64]}"
        detail = f"`{where}` is not known here: a request has `custom_id` and `params`."
        raise BadRequest(detail, param=where, code="invalid_field")
    custom_id, params = given.get("custom_id"), given.get("params")
    if not isinstance(custom_id, str) or _CUSTOM_ID.fullmatch(custom_id) is None:
        detail = f"`{at}.custom_id` must be 1 to 64 of the characters a-z, A-Z, 0-9, _ and -."
        raise BadRequest(detail, param=f"{at}.custom_id", code="invalid_field")
    if not isinstance(params, dict):
        detail = f"`{at}.params` must be an object: the request for a message."
        raise BadRequest(detail, param=f"{at}.params", code="invalid_field")
    return custom_id, params


def _written(line: Mapping[str, Any], at: str) -> bytes:
    try:
        return orjson.dumps(line)
    except orjson.JSONEncodeError as error:
        detail = f"`{at}.params` is nested too deeply."
        raise BadRequest(detail, param=f"{at}.params", code="nested_too_deeply") from error


def _refused(error: LineError, at: str) -> BadRequest:
    # A line's body is what is called params here.
    param = re.sub(r"^body\b", "params", error.param or "")
    message = re.sub(r"`body\b", "`params", error.message)
    where = f"{at}.{param}" if param else at
    return BadRequest(f"`{at}`: {message}", param=where, code=error.code)
