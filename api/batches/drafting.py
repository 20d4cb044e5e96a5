"""From what is asked for a batch to its options, its deadline and its idempotency claim."""

from hashlib import sha256
from typing import Any

from pydantic import BaseModel, JsonValue
from starlette.requests import Request

from api.batches.request import DEFAULT_WINDOW, BatchAsked, window_ms
from api.drafts import check_answer_schema, idempotency_key
from api.pagination import moment_of
from api.webhooks.receiver import check_receiver, ensure_secret
from shared.batches.creation import BatchDraft
from shared.batches.options import BatchOptions
from shared.clock import now_ms
from shared.errors import BadRequest
from shared.ids import new_id
from shared.jobs.bodies import DocumentTask
from shared.jobs.draft import IdempotencyClaim
from shared.jobs.endpoints import Endpoint
from shared.resources import Resources
from shared.settings import Settings
from shared.webhooks.secrets import SecretBox

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_TASK = {
    "model": "model",
    "instructions": "instructions",
    "json_schema": "schema",
    "images": "images",
}


def read_options(asked: BatchAsked, resources: Resources, *, documents: bool) -> BatchOptions:
    """Return what holds for all lines; `documents` tells that these are files and not requests.

    Raises:
        BadRequest, NotFound: fields that do not go together, or a task that cannot be done.
    """
    if not documents:
        _refuse_task(asked)
    return BatchOptions(
        endpoint=Endpoint.DOCUMENTS if documents else asked.endpoint,
        priority=asked.priority,
        max_attempts=asked.max_attempts,
        on_unknown=asked.on_unknown,
        on_invalid=asked.on_invalid,
        coalesce=asked.coalesce,
        task=_task(asked, resources) if documents else None,
    )


def _task(asked: BatchAsked, resources: Resources) -> DocumentTask:
    if asked.endpoint not in {None, Endpoint.DOCUMENTS}:
        detail = f"`endpoint` of a batch of documents is `{Endpoint.DOCUMENTS}`: leave it out."
        raise BadRequest(detail, param="endpoint")
    if asked.model is None or asked.json_schema is None:
        name = "model" if asked.model is None else "schema"
        detail = f"`{name}` is missing: a batch of documents has one `model` and `schema` for all."
        raise BadRequest(detail, param=name, code="missing_field")
    resources.catalog.resolve(asked.model)
    check_answer_schema(asked.json_schema)
    return DocumentTask(
        model=asked.model,
        instructions=asked.instructions or "",
        schema=asked.json_schema,
        images=asked.images or "auto",
    )


def _refuse_task(asked: BatchAsked) -> None:
    for field, name in _TASK.items():
        if getattr(asked, field) is not None:
            detail = (
                f"`{name}` is for a batch of documents (`files`, `archive` or a zip): where the"
                " lines are requests, put it into the `body` of each."
            )
            raise BadRequest(detail, param=name)


def draft_batch(
    tenant_id: str,
    options: BatchOptions,
    settings: Settings,
    *,
    window: str = DEFAULT_WINDOW,
    complete_by: int | None = None,
    param: str | None = None,
    **more: Any,
) -> BatchDraft:
    """Return a new batch without its lines; `more` are other fields of the draft.

    It ends a `window` from now, or at the moment `complete_by` in milliseconds; `param` is what its
    maker calls that, None where there is nothing to say.

    Raises:
        BadRequest: that is over already, or too far ahead.
    """
    batch_id = new_id("batch")
    created_at = moment_of(batch_id) or now_ms()
    if complete_by is None:
        complete_by = created_at + window_ms(window)
    else:
        window = f"{max(1, -(-(complete_by - created_at) // _MINUTE_MS))}m"
    if param is not None:
        check_deadline(complete_by, created_at, settings, param=param)
    return BatchDraft(
        id=batch_id,
        tenant_id=tenant_id,
        created_at=created_at,
        completion_window=window,
        complete_by=complete_by,
        options=options,
        **more,
    )


def check_deadline(complete_by: int, now: int, settings: Settings, *, param: str) -> None:
    """Refuse a deadline that is over, or further ahead than anything is kept.

    Raises:
        BadRequest: the message names the limit.
    """
    longest = round(settings.max_lifetime_s * 1000)
    if complete_by <= now:
        detail = f"`{param}` must be later than now."
        raise BadRequest(detail, param=param)
    if complete_by - now > longest:
        detail = f"`{param}` must be within {_spelled(longest)} from now."
        limit = {"limit": longest // 1000}
        raise BadRequest(detail, param=param, extra=limit)


async def read_webhook(
    asked: BatchAsked, resources: Resources, tenant_id: str
) -> dict[str, JsonValue] | None:
    """Check who is to be told, and see to it that what tells them can be signed.

    Raises:
        BadRequest: nothing is ever sent to that URL.
    """
    if asked.webhook is not None:
        check_receiver(asked.webhook.url, resources.settings, param="webhook.url")
    # Lines may name receivers of their own, and those of a file nobody has read yet.
    await ensure_secret(resources.database, tenant_id, SecretBox(resources.secret_key))
    return None if asked.webhook is None else asked.webhook.model_dump(mode="json")


def read_claim(
    request: Request, asked: BaseModel, *, identity: str = ""
) -> IdempotencyClaim | None:
    """Return the idempotency key with a digest of the request, None where there is no key.

    `identity` stands for a file that comes with the request.

    Raises:
        BadRequest: the key is not what a key may be.
    """
    key = idempotency_key(request)
    if key is None:
        return None
    digest = sha256(f"{request.url.path.removeprefix('/openai')}\0{identity}\0".encode())
    digest.update(asked.model_dump_json(by_alias=True).encode())
    return IdempotencyClaim(key, digest.hexdigest())


def _spelled(span_ms: int) -> str:
    if span_ms % _DAY_MS == 0:
        return f"{span_ms // _DAY_MS} days"
    return f"{span_ms // _MINUTE_MS} minutes"
