"""The operations of webhooks, and what they answer, as models."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from api.openapi_models import Page
from api.openapi_parts import JSON, Answer, Operation
from api.webhooks import request as asked
from shared.auth.permissions import Permission
from shared.events.event import EventType

_PAGE = ("after", "limit", "order")
_FILTERS = ("of_endpoint", "of_job", "told_of_batch", "delivery_state", "event_type")


class WebhookEndpoint(BaseModel):
    """A receiver of the events of all the tenant's jobs and batches; times are in seconds, as OpenAI's are."""

    id: str
    object: Literal["webhook_endpoint"]
    name: str
    url: str
    event_types: list[EventType] = Field(description="An empty list means all.")
    created_at: int
    updated_at: int | None
    signing_secret_hint: str | None
    enabled: bool
    disabled_at: int | None
    disabled_reason: str | None
    failing_since: int | None = Field(description="The first failed try since one succeeded.")
    failures: int = Field(description="Failed tries since one succeeded.")


class NewWebhookEndpoint(WebhookEndpoint):
    """A receiver with its secret, which is shown this once."""

    signing_secret: str


class WebhookEndpointList(Page):
    """A page of receivers."""

    data: list[WebhookEndpoint]


class WebhookEndpointDeleted(BaseModel):
    """The receiver that was deleted."""

    id: str
    object: Literal["webhook_endpoint.deleted"]
    deleted: Literal[True]


class WebhookEndpointTested(BaseModel):
    """The receiver's answer to a sample event."""

    object: Literal["webhook_endpoint.test"]
    webhook_endpoint_id: str
    webhook_delivery_id: str
    event_type: EventType
    status_code: int
    success: Literal[True]


class WebhookEndpointRecovery(BaseModel):
    """How many deliveries are made again."""

    object: Literal["webhook_endpoint.recovery"]
    webhook_endpoint_id: str
    recovered: int
    has_more: bool = Field(description="There were more than one request recovers: repeat it.")


class WebhookEventTypes(BaseModel):
    """What can be subscribed to."""

    object: Literal["list"]
    data: list[EventType]


class WebhookDelivery(BaseModel):
    """One event on its way to one receiver."""

    id: str
    object: Literal["webhook_delivery"]
    webhook_endpoint_id: str | None = Field(description="None: the `webhook` of the job or batch.")
    url: str
    event_id: str = Field(description="The header `webhook-id` of every try.")
    event_type: EventType
    job_id: str | None = Field(description="None: it tells of a batch.")
    batch_id: str | None = Field(description="None: it tells of a job.")
    state: Literal["pending", "delivered", "failed", "skipped"]
    try_count: int
    created_at: AwareDatetime
    next_try_at: AwareDatetime | None
    finished_at: AwareDatetime | None


class WebhookDeliveryList(Page):
    """A page of deliveries."""

    data: list[WebhookDelivery]


class WebhookTryError(BaseModel):
    """Why a try had no answer."""

    code: str
    message: str | None


class WebhookTry(BaseModel):
    """One POST to the receiver."""

    number: int
    started_at: AwareDatetime
    total_ms: int
    status_code: int | None
    response: str | None = Field(description="The beginning of the answer's body.")
    ip: str | None
    error: WebhookTryError | None
    manual: bool


class WholeWebhookDelivery(WebhookDelivery):
    """A delivery with what is sent, byte for byte, and every try."""

    body: str
    tries: list[WebhookTry]


class WebhookSecret(BaseModel):
    """What signs the events that go to the URLs of single jobs."""

    object: Literal["webhook_secret"]
    signing_secret: str
    signing_secret_hint: str
    old_secret_active_until: AwareDatetime | None


_ENDPOINTS, _ENDPOINT = "/v1/webhook_endpoints", "/v1/webhook_endpoints/{webhook_endpoint_id}"
_DELIVERY = "/v1/webhook_deliveries/{webhook_delivery_id}"
_ID, _DELIVERY_ID = ("webhook_endpoint_id",), ("webhook_delivery_id",)
_READ, _MANAGE = Permission.WEBHOOKS_READ, Permission.WEBHOOKS_MANAGE
_EXAMPLE = {"name": "results", "url": "https://example.com/hook", "event_types": ["job.completed"]}

ENDPOINTS = (
    Operation(
        "createWebhookEndpoint",
        "POST",
        _ENDPOINTS,
        "Register a receiver of events",
        {"200": Answer("The receiver with its secret.", NewWebhookEndpoint)},
        _MANAGE,
        {JSON: asked.EndpointCreate},
        _EXAMPLE,
        errors=(400, 413, 429),
    ),
    Operation(
        "listWebhookEndpoints",
        "GET",
        _ENDPOINTS,
        "List receivers, newest first",
        {"200": Answer("A page.", WebhookEndpointList)},
        _READ,
        parameters=_PAGE,
        errors=(400,),
    ),
    Operation(
        "getWebhookEndpoint",
        "GET",
        _ENDPOINT,
        "Get a receiver",
        {"200": Answer("The receiver.", WebhookEndpoint)},
        _READ,
        parameters=_ID,
        errors=(404,),
    ),
    Operation(
        "updateWebhookEndpoint",
        "POST",
        _ENDPOINT,
        "Change a receiver, stop it or start it again",
        {"200": Answer("The receiver.", WebhookEndpoint)},
        _MANAGE,
        {JSON: asked.EndpointUpdate},
        {"enabled": True},
        parameters=_ID,
        errors=(400, 404, 413),
    ),
    Operation(
        "deleteWebhookEndpoint",
        "DELETE",
        _ENDPOINT,
        "Delete a receiver",
        {"200": Answer("It gets nothing more.", WebhookEndpointDeleted)},
        _MANAGE,
        parameters=_ID,
        errors=(404,),
    ),
    Operation(
        "rotateWebhookEndpointSecret",
        "POST",
        f"{_ENDPOINT}/rotate_secret",
        "Take another secret",
        {"200": Answer("The receiver with its new secret.", NewWebhookEndpoint)},
        _MANAGE,
        {JSON: asked.SecretRotate},
        {"keep_old_secret_active_for_24_hours": True},
        parameters=_ID,
        errors=(400, 404, 413),
    ),
    Operation(
        "testWebhookEndpoint",
        "POST",
        f"{_ENDPOINT}/test",
        "Send a sample event",
        {"200": Answer("The receiver answered.", WebhookEndpointTested)},
        _MANAGE,
        {JSON: asked.EndpointTest},
        {"event_type": "job.completed"},
        parameters=_ID,
        errors=(400, 404, 409, 413, 422),
    ),
    Operation(
        "recoverWebhookEndpoint",
        "POST",
        f"{_ENDPOINT}/recover",
        "Send again what failed or was skipped",
        {"202": Answer("How many are sent again.", WebhookEndpointRecovery)},
        _MANAGE,
        {JSON: asked.EndpointRecover},
        {"since": "2026-01-01T00:00:00Z"},
        parameters=_ID,
        errors=(400, 404, 409, 413),
    ),
    Operation(
        "listWebhookEventTypes",
        "GET",
        "/v1/webhook_event_types",
        "List what can be subscribed to",
        {"200": Answer("The types.", WebhookEventTypes)},
        _READ,
    ),
)

DELIVERIES = (
    Operation(
        "listWebhookDeliveries",
        "GET",
        "/v1/webhook_deliveries",
        "List deliveries, newest first",
        {"200": Answer("A page.", WebhookDeliveryList)},
        _READ,
        parameters=(*_FILTERS, *_PAGE),
        errors=(400,),
    ),
    Operation(
        "getWebhookDelivery",
        "GET",
        _DELIVERY,
        "Get a delivery with its body and its tries",
        {"200": Answer("The delivery.", WholeWebhookDelivery)},
        _READ,
        parameters=_DELIVERY_ID,
        errors=(404,),
    ),
    Operation(
        "resendWebhookDelivery",
        "POST",
        f"{_DELIVERY}/resend",
        "Send it once more",
        {"202": Answer("The delivery, due now.", WebhookDelivery)},
        _MANAGE,
        parameters=_DELIVERY_ID,
        errors=(404, 409),
    ),
    Operation(
        "getWebhookSecret",
        "GET",
        "/v1/webhook_secret",
        "Get the secret that signs for single jobs",
        {"200": Answer("The secret.", WebhookSecret)},
        _MANAGE,
        errors=(409,),
    ),
    Operation(
        "rotateWebhookSecret",
        "POST",
        "/v1/webhook_secret/rotate",
        "Take another secret for single jobs",
        {"200": Answer("The new secret.", WebhookSecret)},
        _MANAGE,
        {JSON: asked.SecretRotate},
        {"keep_old_secret_active_for_24_hours": True},
        errors=(400, 413),
    ),
)
