"""The envelope of a line: what stands round its request, checked by hand because it is done a million times."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import orjson
from pydantic import JsonValue, TypeAdapter, ValidationError

from shared.batches.options import BatchOptions
from shared.jobs.endpoints import Endpoint, parse_endpoint
from shared.jobs.options import MOST_ATTEMPTS, JobWebhook, Metadata
from shared.jobs.transitions import Priority
from shared.settings import Settings
from shared.webhooks.egress import BlockedUrl, check_url

LONGEST_CUSTOM_ID = 256
MOST_SHOWN = 60
LONGEST_MESSAGE, LONGEST_PARAM = 1000, 200
METHOD = "POST"
T = TypeVar("T")
_PRIORITIES = {priority.value: priority for priority in Priority}
_METADATA: TypeAdapter[dict[str, str]] = TypeAdapter(Metadata)
_WEBHOOK = TypeAdapter(JobWebhook)
_OPTIONS = frozenset({"custom_id", "priority", "max_attempts", "metadata", "webhook"})
_OF_REQUESTS = _OPTIONS | {"method", "url", "body"}
_OF_DOCUMENTS = _OPTIONS | {"file_id"}


class Flaw(Exception):
    """Why a line cannot be done; the message says what to do about it."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = _storable(message, LONGEST_MESSAGE)
        self.param = param and _storable(param, LONGEST_PARAM)

    def again(self) -> "Flaw":
        """Return it anew: an exception that is raised twice keeps the traces of both."""
        return Flaw(self.code, self.message, self.param)


class Envelope(NamedTuple):
    """A line as its sender wrote it; what is in `body` is not checked yet."""

    custom_id: str
    endpoint: Endpoint
    body: Mapping[str, Any]
    priority: Priority
    max_attempts: int
    tags: dict[str, str]
    webhook: dict[str, JsonValue] | None


def read_envelope(raw: bytes, options: BatchOptions, settings: Settings) -> Envelope:
    """Read what is round the request.

    Raises:
        Flaw: what is wrong with it.
    """
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"This line is not valid JSON ({error}): write one JSON object a line, in UTF-8."
        raise Flaw("invalid_json_line", message) from error
    if type(line) is not dict:
        message = "This line is no JSON object: write one request a line, in braces."
        raise Flaw("invalid_json_line", message)
    _refuse_unknown(line, _OF_REQUESTS if options.task is None else _OF_DOCUMENTS)
    custom_id = _custom_id(line)
    if options.task is None:
        endpoint, body = _request(line, options.endpoint)
    else:
        endpoint, body = Endpoint.DOCUMENTS, _document(line, options)
    return Envelope(
        custom_id=custom_id,
        endpoint=endpoint,
        body=body,
        priority=_priority(line["priority"]) if "priority" in line else options.priority,
        max_attempts=_attempts(line["max_attempts"])
        if "max_attempts" in line
        else options.max_attempts,
        tags=_tags(line["metadata"]) if line.get("metadata") is not None else {},
        webhook=_webhook(line["webhook"], settings) if line.get("webhook") is not None else None,
    )


def _refuse_unknown(line: Mapping[str, Any], known: frozenset[str]) -> None:
    if line.keys() <= known:
        return
    name = min(line.keys() - known)
    shown = name if len(name) <= MOST_SHOWN else f"{name[:MOST_SHOWN]}…"
    message = f"`{shown}` is no field of a line: it takes {', '.join(sorted(known))}."
    raise Flaw("unknown_parameter", message, name)


def _custom_id(line: Mapping[str, Any]) -> str:
    if (custom_id := line.get("custom_id")) is None:
        message = "`custom_id` is missing: give each line a text of its own."
        raise Flaw("missing_custom_id", message, "custom_id")
    fits = type(custom_id) is str and 0 < len(custom_id) <= LONGEST_CUSTOM_ID
    if not fits or "\x00" in custom_id:
        message = (
            f"`custom_id` must be a text of 1 to {LONGEST_CUSTOM_ID} characters, none of them NUL."
        )
        raise Flaw("invalid_custom_id", message, "custom_id")
    return str(custom_id)


def _request(
    line: Mapping[str, Any], expected: Endpoint | None
) -> tuple[Endpoint, Mapping[str, Any]]:
    for name in ("method", "url", "body"):
        if line.get(name) is None:
            message = f"`{name}` is missing: a line has custom_id, method, url and body."
            raise Flaw("missing_required_parameter", message, name)
    if line["method"] != METHOD:
        message = f"`method` must be `{METHOD}`, not {_shown(line['method'])}."
        raise Flaw("invalid_method", message, "method")
    url = line["url"]
    found = parse_endpoint(url) if type(url) is str else None
    if found is None:
        message = f"`url` must be one of {', '.join(Endpoint)}, not {_shown(url)}."
        raise Flaw("invalid_url", message, "url")
    endpoint, model = found
    if expected is not None and endpoint is not expected:
        message = (
            f"`url` is {endpoint}, but the batch was created for {expected}: change the line, or"
            " create the batch without an endpoint to mix them."
        )
        raise Flaw("mismatched_endpoint", message, "url")
    body = line["body"]
    if type(body) is not dict:
        raise Flaw("invalid_request", "`body` must be a JSON object: the request.", "body")
    return endpoint, body if model is None else {**body, "model": model}


def _document(line: Mapping[str, Any], options: BatchOptions) -> Mapping[str, Any]:
    file_id = line.get("file_id")
    if type(file_id) is not str or options.task is None:
        message = "`file_id` must be the id of an uploaded file."
        raise Flaw("missing_required_parameter", message, "file_id")
    return document_body(options, file_id)


def document_body(options: BatchOptions, file_id: str) -> dict[str, Any]:
    """Return the body of the request that puts a batch's task to one file."""
    task = (
        {}
        if options.task is None
        else options.task.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    )
    return {"file_id": file_id, **task}


def _priority(value: object) -> Priority:
    priority = _PRIORITIES.get(value) if type(value) is str else None
    if priority is None:
        message = f"`priority` must be one of {', '.join(_PRIORITIES)}, not {_shown(value)}."
        raise Flaw("invalid_request", message, "priority")
    return priority


def _attempts(value: object) -> int:
    if type(value) is int and 1 <= value <= MOST_ATTEMPTS:
        return value
    message = f"`max_attempts` must be a whole number from 1 to {MOST_ATTEMPTS}."
    raise Flaw("invalid_request", message, "max_attempts")


def _tags(value: object) -> dict[str, str]:
    return _valid(_METADATA.validate_python, value, "metadata")


def _webhook(value: object, settings: Settings) -> dict[str, JsonValue]:
    webhook = _valid(_WEBHOOK.validate_python, value, "webhook")
    try:
        check_url(webhook.url, allow_private=settings.webhook_allow_private)
    except BlockedUrl as error:
        message = f"`webhook.url` cannot be used. {error}"
        raise Flaw("invalid_webhook_url", message, "webhook.url") from error
    return webhook.model_dump(mode="json")


def _valid(validate: Callable[[object], T], value: object, name: str) -> T:
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(map(str, (name, *first["loc"])))
        words = _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        message = f"`{path}` is wrong: {words[:1].lower()}{words[1:]}."
        raise Flaw("invalid_request", message, path) from error


# Where pydantic speaks of classes.
_WORDS = {"model_type": "it must be a JSON object", "dict_type": "it must be a JSON object"}


def _storable(text: str, most: int) -> str:
    # It may quote what a stranger wrote: megabytes, or NULs, which PostgreSQL does not store.
    text = text if len(text) <= most else text[: most - 1] + "…"
    return text.replace("\x00", "\\0")


def _shown(value: object) -> str:
    # Python gives up on spelling out what is nested deeply.
    text = "…" if isinstance(value, list | dict) else str(value)
    return f"`{text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + '…'}`"
