"""From what is asked for a batch to its options, its deadline and its idempotency claim."""

from hashlib import sha256

from pydantic import BaseModel, JsonValue
from starlette.requests import Request

from api.batches.request import DEFAULT_WINDOW, BatchAsked, window_ms
from api.drafts import check_answer_schema, idempotency_key
from api.webhooks.receiver import check_receiver, ensure_secret
from shared.batches.options import BatchOptions
from shared.errors import BadRequest
from shared.jobs.bodies import DocumentTask
from shared.jobs.draft import IdempotencyClaim
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import in_ms
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


def read_deadline(asked: BatchAsked, now: int, settings: Settings) -> tuple[str, int]:
    """Return the completion window, and the moment in milliseconds at which it ends.

    Raises:
        BadRequest: both were given, or it is over already, or too far ahead.
    """
    if asked.completion_window is not None and asked.complete_by is not None:
        detail = "Give `completion_window` or `complete_by`, not both: they say the same."
        raise BadRequest(detail, param="complete_by")
    window, complete_by = asked.completion_window or DEFAULT_WINDOW, in_ms(asked.complete_by)
    param = "completion_window" if complete_by is None else "complete_by"
    if complete_by is None:
        complete_by = now + window_ms(window)
    else:
        window = f"{max(1, -(-(complete_by - now) // _MINUTE_MS))}m"
    check_deadline(complete_by, now, settings, param=param)
    return window, complete_by


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
