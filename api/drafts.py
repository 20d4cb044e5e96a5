"""From a request to a draft: checked against its endpoint, its model, its deadline and its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from pydantic import BaseModel, JsonValue, ValidationError
from starlette.requests import Request

from api.errors import invalid_fields
from api.webhooks.receiver import check_receiver, ensure_secret
from shared.clock import now_ms
from shared.documents.schema import SchemaError, check_schema
from shared.errors import BadRequest, NotFound
from shared.files import store as file_store
from shared.ids import new_id
from shared.jobs.bodies import BODIES, DocumentBody, ModelBody
from shared.jobs.draft import IdempotencyClaim, JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS, refuse_what_never_fits, ways_of
from shared.jobs.options import JobOptions, in_ms
from shared.jobs.transitions import Priority
from shared.limiter.estimate import estimate
from shared.resources import Resources
from shared.settings import Settings
from shared.webhooks.secrets import SecretBox

LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Direct:
    """How a request to its own endpoint differs from one submitted as a job.

    Its fields are the body's own. `priority` and `lifetime_s` (None: as any job) come of how its
    caller waits, so they are no part of what makes two requests with one idempotency key alike.
    """

    priority: Priority = Priority.STANDARD
    lifetime_s: float | None = None


async def draft_job(
    request: Request,
    tenant_id: str,
    endpoint: Endpoint,
    body: dict[str, JsonValue],
    options: JobOptions,
    *,
    identity: str | None = None,
    direct: Direct | None = None,
) -> JobDraft:
    """Check everything that can be checked now; a large body is in the blob store afterwards.

    Raises:
        BadRequest, NotFound, Unprocessable: what is wrong, by its field; nothing was stored.
    """
    resources: Resources = request.state.resources
    checked = _check_body(endpoint, body, prefix="" if direct else "body")
    if isinstance(checked, DocumentBody):
        await _check_document(resources, tenant_id, checked)
    route = resources.catalog.resolve(checked.model)
    cost = estimate(body, default_output_tokens=DEFAULT_OUTPUT_TOKENS, operation=endpoint.operation)
    standing = await resources.standings.of(tenant_id)
    ways = ways_of(route, endpoint, body, input_tokens=cost.input_tokens, standing=standing)
    refuse_what_never_fits(route.model, ways, cost)
    now = now_ms()
    lifetime_s = direct.lifetime_s if direct else None
    scheduled_at, complete_by = _times(options, now, resources.settings, lifetime_s)
    raw = orjson.dumps(body)
    alike = raw if identity is None else orjson.dumps({**body, "file_id": identity})
    idempotency = _idempotency(request, endpoint, alike, options)
    webhook = await _webhook(resources, tenant_id, options)
    blob = None
    if len(raw) > resources.settings.inline_bytes:
        blob = f"requests/{new_id('req')}.json"
        await resources.blobs.put(blob, raw)
    return JobDraft(
        tenant_id=tenant_id,
        endpoint=endpoint,
        model=checked.model,
        body=None if blob else raw,
        blob=blob,
        request_bytes=len(raw),
        created_at=now,
        complete_by=complete_by,
        priority=direct.priority if direct else options.priority,
        scheduled_at=scheduled_at,
        max_attempts=options.max_attempts,
        on_unknown=options.on_unknown,
        custom_id=options.custom_id,
        tags=options.metadata,
        idempotency=idempotency,
        webhook=webhook,
        lane=ways[0].lane_key,
        tokens=cost.input_tokens + cost.output_tokens,
        background=endpoint is Endpoint.RESPONSES and body.get("background") is True,
    )


def _check_body(endpoint: Endpoint, body: Mapping[str, Any], *, prefix: str) -> ModelBody:
    try:
        return BODIES[endpoint].model_validate(body)
    except ValidationError as error:
        raise invalid_fields(error, prefix=prefix) from error


async def _check_document(resources: Resources, tenant_id: str, body: DocumentBody) -> None:
    check_answer_schema(body.json_schema)
    async with resources.database.reading() as db:
        file = await file_store.get(db, tenant_id, body.file_id)
    if file is None:
        detail = f"There is no file `{body.file_id}`: upload it with POST /v1/files first."
        raise NotFound(detail, code="file_not_found", param="file_id")


def check_answer_schema(schema: dict[str, JsonValue]) -> None:
    """Refuse a JSON schema that no answer could be held against.

    Raises:
        BadRequest: the message says why.
    """
    try:
        check_schema(schema)
    except SchemaError as error:
        detail = f"`schema` cannot be used: {error}"
        raise BadRequest(detail, param="schema", code="invalid_schema") from error


async def _webhook(
    resources: Resources, tenant_id: str, options: JobOptions
) -> dict[str, JsonValue] | None:
    if options.webhook is None:
        return None
    check_receiver(options.webhook.url, resources.settings, param="webhook.url")
    # Before there is a job: what tells of it is signed.
    await ensure_secret(resources.database, tenant_id, SecretBox(resources.secret_key))
    return options.webhook.model_dump(mode="json")


def _times(
    options: JobOptions, now: int, settings: Settings, lifetime_s: float | None
) -> tuple[int | None, int]:
    scheduled_at = in_ms(options.scheduled_at)
    begin = max(now, scheduled_at or now)
    longest = round(settings.max_lifetime_s * 1000)
    lifetime_ms = round((lifetime_s or settings.default_lifetime_s) * 1000)
    complete_by = in_ms(options.complete_by) or begin + lifetime_ms
    if complete_by <= begin:
        detail = "`complete_by` must be later than now and than `scheduled_at`."
        raise BadRequest(detail, param="complete_by")
    if complete_by - now > longest and (options.complete_by or options.scheduled_at):
        detail = (
            f"The job would have to be kept for more than {longest // 86_400_000} days: bring"
            " `complete_by` or `scheduled_at` nearer."
        )
        raise BadRequest(detail, param="complete_by" if options.complete_by else "scheduled_at")
    return scheduled_at, complete_by


def _idempotency(
    request: Request, endpoint: Endpoint, raw: bytes, options: BaseModel
) -> IdempotencyClaim | None:
    key = idempotency_key(request)
    if key is None:
        return None
    digest = sha256(endpoint.encode() + b"\0" + raw + b"\0")
    digest.update(options.model_dump_json().encode())
    return IdempotencyClaim(key, digest.hexdigest())


def idempotency_key(request: Request) -> str | None:
    """Read the header `Idempotency-Key`, quoted or bare.

    Raises:
        BadRequest: it is not what a key may be.
    """
    header = request.headers.get("idempotency-key")
    if header is None:
        return None
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        detail = (
            f"`Idempotency-Key` must be 1 to {LONGEST_KEY} printable characters, quoted or bare."
        )
        raise BadRequest(detail, param="Idempotency-Key")
    return key
