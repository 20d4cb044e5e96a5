"""What a submit asks for, checked and resolved: the value from which the rows are made."""

from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue

from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import Priority


class OnUnknown(StrEnum):
    """What to do with a call whose fate is not known: it may have been billed."""

    RETRY = "retry"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
    """The client's key, and a digest of the request that it stands for."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JobDraft:
    """A job before it has an id; `body` is JSON bytes, or None when `blob` names where it lies.

    `lane` is where the call goes if nothing speaks against it, `tokens` what it is taken to need.
    `background`: it is a response of OpenAI's that nobody waits for.
    """

    tenant_id: str
    endpoint: Endpoint
    model: str
    body: bytes | None
    request_bytes: int
    created_at: int
    complete_by: int
    blob: str | None = None
    priority: Priority = Priority.STANDARD
    scheduled_at: int | None = None
    max_attempts: int = 5
    on_unknown: OnUnknown = OnUnknown.RETRY
    custom_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    idempotency: IdempotencyClaim | None = None
    webhook: dict[str, JsonValue] | None = None
    lane: str | None = None
    tokens: int = 0
    background: bool = False
