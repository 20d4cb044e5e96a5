"""What an operation is made of, and the parts that it names: parameters, headers, errors, keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from api.anthropic.pages import MAX_LIMIT as MOST_OF_ANTHROPICS
from api.files import LISTED_PURPOSES, MAX_LISTED
from api.job_filters import STATUSES
from api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from api.prefer import LONGEST_WAIT_S
from shared.auth.permissions import Permission
from shared.batches.model import BatchState
from shared.events.event import EventType
from shared.jobs.endpoints import Endpoint
from shared.webhooks.replay_store import STATES

Part = dict[str, Any]
JSON, FORM, TEXT, ANY = "application/json", "multipart/form-data", "text/plain", "*/*"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its meaning, its model (None: no model describes it), its headers."""

    text: str
    model: type[BaseModel] | None = None
    headers: tuple[str, ...] = ()
    media_type: str | None = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `permission` None means that no key is asked for."""

    name: str
    method: str
    path: str
    summary: str
    answers: Mapping[str, Answer]
    permission: Permission | None = None
    bodies: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None
    parameters: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()

    @property
    def tag(self) -> str:
        """Return the group it is shown in."""
        first, *rest = self.path.strip("/").split("/")
        if first == "v1beta" or ":" in self.path:
            return "gemini"
        return rest[0] if first == "v1" else "operations"


def _query(name: str, text: str, **schema: Any) -> Part:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _header(name: str, text: str) -> Part:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


def _path(name: str) -> Part:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _moment(name: str, text: str) -> Part:
    return _query(name, text, type="string", format="date-time")


PARAMETERS: dict[str, Part] = {
    "job_id": _path("job_id"),
    "file_id": _path("file_id"),
    "batch_id": _path("batch_id"),
    "key_id": _path("key_id"),
    "message_batch_id": _path("message_batch_id"),
    "model": _path("model"),
    "response_id": _path("response_id"),
    "name": _path("name"),
    "webhook_endpoint_id": _path("webhook_endpoint_id"),
    "webhook_delivery_id": _path("webhook_delivery_id"),
    "of_endpoint": _query("webhook_endpoint_id", "Only to this receiver.", type="string"),
    "of_job": _query("job_id", "Only of this job.", type="string"),
    "told_of_batch": _query("batch_id", "Only of this batch itself.", type="string"),
    "delivery_state": _query("state", "Only in this state.", type="string", enum=list(STATES)),
    "event_type": _query("event_type", "Only of this type.", type="string", enum=list(EventType)),
    "wait": _query(
        "wait",
        "Seconds to wait for the job's end before answering.",
        type="number",
        minimum=0,
        maximum=LONGEST_WAIT_S,
        default=0,
    ),
    "status": _query("status", "Only jobs of this status.", type="string", enum=list(STATUSES)),
    "batch_status": _query(
        "status", "Only batches of this status.", type="string", enum=list(BatchState)
    ),
    "of_batch": _query("batch_id", "Only lines of this batch.", type="string"),
    "endpoint": _query(
        "endpoint", "Only jobs of this endpoint.", type="string", enum=list(Endpoint)
    ),
    "metadata": {
        **_query(
            "metadata",
            "Only jobs that have this one tag: `metadata[key]=value`.",
            type="object",
            additionalProperties={"type": "string"},
            maxProperties=1,
        ),
        "style": "deepObject",
        "explode": True,
    },
    "created_after": _moment("created_after", "Only jobs stored at this time or later."),
    "created_before": _moment("created_before", "Only jobs stored before this time."),
    "after": _query("after", "The `next_after` or the last id of the page before.", type="string"),
    "after_item": _query("after", "The last id of the page before.", type="string"),
    "stream": _query("stream", "Its events in place of it.", type="boolean", default=False),
    "starting_after": _query(
        "starting_after", "The `sequence_number` of the last event you have.", type="integer"
    ),
    "after_id": _query("after_id", "The last id of the page before.", type="string"),
    "before_id": _query("before_id", "The first id of the page behind.", type="string"),
    "message_batch_limit": _query(
        "limit",
        "How many at the most.",
        type="integer",
        minimum=1,
        maximum=MOST_OF_ANTHROPICS,
        default=DEFAULT_LIMIT,
    ),
    "limit": _query(
        "limit",
        "How many at the most.",
        type="integer",
        minimum=1,
        maximum=MAX_LIMIT,
        default=DEFAULT_LIMIT,
    ),
    "after_number": _query(
        "after",
        "The `number` of the last line that you have.",
        type="integer",
        minimum=0,
        default=0,
    ),
    "most_lines": _query("limit", "How many lines at the most.", type="integer", minimum=1),
    "file_limit": _query(
        "limit",
        "How many at the most.",
        type="integer",
        minimum=1,
        maximum=MAX_LISTED,
        default=MAX_LISTED,
    ),
    "purpose": _query(
        "purpose", "Only files of this purpose.", type="string", enum=list(LISTED_PURPOSES)
    ),
    "order": _query("order", "By age.", type="string", enum=["asc", "desc"], default="desc"),
    "Idempotency-Key": _header(
        "Idempotency-Key",
        "1 to 255 characters, quoted or bare. The same request with the same key within 24 hours"
        " is the same job, or the same batch.",
    ),
    "Prefer": _header(
        "Prefer", "`wait=n`: stay up to n seconds for the end. `respond-async`: do not."
    ),
    "Penstock-On-Disconnect": _header(
        "Penstock-On-Disconnect",
        "`cancel` or `continue`: what becomes of the job when its caller goes away before its end.",
    ),
    "anthropic-version": _header(
        "anthropic-version",
        "`2023-06-01` or `2026-10-21`; without it the first, which allows more.",
    ),
    "alt": _query("alt", "`sse`: events, not one array.", type="string", enum=["json", "sse"]),
    "page": _query("page", "Mistral's: which page, from 0.", type="integer", minimum=0),
    "page_size": _query("page_size", "Mistral's: how many.", type="integer", minimum=1),
    "include_total": _query("include_total", "Mistral's: whether to count all.", type="boolean"),
    "pageSize": _query("pageSize", "How many at the most.", type="integer", minimum=0),
    "pageToken": _query("pageToken", "The `nextPageToken` of the page before.", type="string"),
    "Last-Event-ID": _header(
        "Last-Event-ID", "The id of the last event that you have: only what follows it is sent."
    ),
    "last_event_id": _query(
        "last_event_id", "The same, where no header can be set.", type="string"
    ),
    "token": _query("token", "An event token of this job, in place of a key.", type="string"),
    "If-None-Match": _header("If-None-Match", "The `ETag` of a state that you have: 304 if so."),
}

HEADERS: dict[str, Part] = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in {
        "Location": "The path of the job, or of the batch.",
        "ETag": "A tag of this state of the job; its place in the queue is no part of it.",
        "Retry-After": "In how many seconds to come again.",
        "Idempotent-Replayed": "`true`: this was stored by an earlier request.",
        "Preference-Applied": "The preferences that were honoured.",
        "Penstock-Job-Id": "The job that the call was.",
        "request-id": "The request's id, as in `x-request-id`.",
        "openai-processing-ms": "Milliseconds from the request to this answer.",
        **{
            f"x-ratelimit-{what}-{unit}": text.format(unit)
            for what, text in {
                "limit": "The deployment's limit of {} a minute.",
                "remaining": "How many {} it would admit at once, when the call began.",
                "reset": "The time until its {} are all there again: `6m0s`, `12ms`.",
            }.items()
            for unit in ("requests", "tokens")
        },
    }.items()
}

ERRORS: dict[int, str] = {
    400: "The request is not understood; `detail` says which field and what to do.",
    401: "No key, or none that works.",
    403: "The key's role may not do this.",
    404: "There is no such thing in this tenant.",
    409: "It is not in a state that allows this.",
    410: "It was deleted.",
    413: "Larger than the limit that the message names.",
    422: "Understood, but it contradicts what is stored or could never be admitted.",
    429: "A limit of the tenant; `Retry-After` says when to come again.",
    500: "Something went wrong on our side.",
    502: "The provider failed, as often as it may.",
    503: "A limit of the service, or a part of it that is down, or no answer in time.",
    504: "The provider did not answer in time, as often as it may.",
}

SECURITY_SCHEMES: dict[str, Part] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`pk_…`"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
}
