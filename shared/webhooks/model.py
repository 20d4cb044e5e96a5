"""The tables of webhooks: who listens, what signs, what is to be delivered, and every try."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class WebhookEndpoint(SQLModel, table=True):
    """A receiver that a tenant registered; `event_types` empty means all.

    `failures` counts the tries that failed since the last success, `failing_since` is when the
    first of them was. Secrets are sealed; the old one signs too until `old_secret_until`.
    """

    __tablename__ = "webhook_endpoint"

    id: str = Field(primary_key=True)
    tenant_id: str
    name: str
    url: str
    event_types: list[str] = Field(default_factory=list, sa_type=Json)
    created_at: int = Field(sa_type=BigInteger)
    updated_at: int | None = Field(default=None, sa_type=BigInteger)
    secret: bytes = Field(sa_type=LargeBinary)
    old_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    old_secret_until: int | None = Field(default=None, sa_type=BigInteger)
    disabled_at: int | None = Field(default=None, sa_type=BigInteger)
    disabled_reason: str | None = None
    failing_since: int | None = Field(default=None, sa_type=BigInteger)
    failures: int = 0
    deleted_at: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (
        Index(
            "webhook_endpoint_by_tenant",
            "tenant_id",
            "created_at",
            "id",
            **_where("deleted_at IS NULL"),
        ),
    )


class WebhookSecret(SQLModel, table=True):
    """What signs the deliveries to the URLs that a tenant's single jobs name."""

    __tablename__ = "webhook_secret"

    tenant_id: str = Field(primary_key=True)
    secret: bytes = Field(sa_type=LargeBinary)
    old_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    old_secret_until: int | None = Field(default=None, sa_type=BigInteger)


class WebhookDelivery(SQLModel, table=True):
    """One event on its way to one receiver; `body` is what is sent, byte for byte, at every try.

    `target` is what is isolated from others: the endpoint, or the host of a job's own URL.
    `tries_before` counts those of schedules that ended before the present one.
    `owner`, `claim_number` and `lease_expires_at` are the deliverer's hold on it.
    """

    __tablename__ = "webhook_delivery"

    id: str = Field(primary_key=True)
    tenant_id: str
    endpoint_id: str | None = None
    target: str
    url: str
    event_id: str
    event_type: str
    job_id: str | None = None
    batch_id: str | None = None
    body: bytes = Field(sa_type=LargeBinary)
    state: str
    tries: int = 0
    tries_before: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    claim_number: int = 0
    owner: str | None = None
    lease_expires_at: int | None = Field(default=None, sa_type=BigInteger)
    next_try_at: int | None = Field(default=None, sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)
    finished_at: int | None = Field(default=None, sa_type=BigInteger)

    __table_args__ = (
        Index("webhook_delivery_by_tenant", "tenant_id", "created_at", "id"),
        Index("webhook_delivery_by_job", "job_id"),
        Index("webhook_delivery_by_batch", "batch_id", **_where("batch_id IS NOT NULL")),
        Index("webhook_delivery_by_endpoint", "endpoint_id", "created_at"),
        Index(
            "webhook_delivery_due",
            "target",
            "next_try_at",
            "id",
            **_where("state = 'pending'"),
        ),
        Index("webhook_delivery_past", "finished_at", **_where("state <> 'pending'")),
        # What a person asked for goes before what waits.
        Index(
            "webhook_delivery_by_hand",
            "target",
            **_where("state = 'pending' AND finished_at IS NOT NULL"),
        ),
    )


class WebhookRest(SQLModel, table=True):
    """A target that asked for less, and until when nothing is sent to it by itself."""

    __tablename__ = "webhook_rest"

    target: str = Field(primary_key=True)
    rests_until: int = Field(sa_type=BigInteger)


class WebhookTry(SQLModel, table=True):
    """One POST to a receiver, and what came of it."""

    __tablename__ = "webhook_try"

    delivery_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    started_at: int = Field(sa_type=BigInteger)
    total_ms: int
    status_code: int | None = None
    response: str | None = None
    ip: str | None = None
    error: str | None = None
    error_message: str | None = None
    manual: bool = False
