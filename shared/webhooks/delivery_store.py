"""SQL of a deliverer's hold on deliveries: what is due, claim, release."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Integer,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import Row, now_ms
from shared.webhooks import store
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookRest, WebhookSecret
from shared.webhooks.secrets import SecretBox


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery in a deliverer's hands; `secrets` are sealed, the present one first.

    `tries` is how many there were before this one, `tries_before` how many of them before the
    present schedule; `by_hand` says that a person asked for it,
    `failing` that the last try to the endpoint, of this delivery or another, had failed.
    """

    id: str
    tenant_id: str
    endpoint_id: str | None
    target: str
    url: str
    event_id: str
    body: bytes
    tries: int
    tries_before: int
    claim_number: int
    created_at: int
    by_hand: bool
    failing: bool = False
    secrets: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """At most `limit` deliveries that are due to a target, and as many that people asked for."""

    target: str
    limit: int


@dataclass(frozen=True, slots=True)
class Won:
    """What an ask won, and how many were found whose endpoint listens no more."""

    claims: Sequence[Claim] = ()
    skipped: int = 0


async def claim(
    db: AsyncConnection, asks: Sequence[Ask], *, owner: str, lease_ms: int, box: SecretBox
) -> list[Won]:
    """Take what is due and in nobody's hands; what another holds, or a target at rest, is left."""
    won: list[list[Claim]] = []
    for ask in asks:
        wanted = {
            "at": ask.target,
            "most": ask.limit,
            "claimer": owner,
            "lease_ms": lease_ms,
        }
        rows = sorted(
            (await db.execute(_TAKE, wanted)).mappings(),
            key=lambda row: (row["finished_at"] is None, row["due_at"], row["id"]),
        )
        won.append([_claim(row) for row in rows])
    claims = [each for some in won for each in some]
    if not claims:
        return [Won()] * len(asks)
    endpoints = await _endpoints(db, {each.endpoint_id for each in claims if each.endpoint_id})
    secrets = await _secrets(
        db, {each.tenant_id for each in claims if each.endpoint_id is None}, box
    )
    deaf = [each.id for each in claims if each.endpoint_id and _is_deaf(each, endpoints)]
    if deaf:
        await db.execute(_SKIP, {"ids": deaf})
    return [_with_secrets(some, endpoints, secrets) for some in won]


async def release(db: AsyncConnection, claims: Sequence[Claim], *, owner: str) -> None:
    """Let go of claims of which nothing was sent."""
    rows = [{"at": each.id, "number": each.claim_number, "holder": owner} for each in claims]
    await db.execute(_RELEASE, rows)


async def due_targets(db: AsyncConnection, *, limit: int, behind: str = "") -> list[str]:
    """Return targets for which something is due that nobody holds, in order of name."""
    found = await db.execute(_DUE_TARGETS, {"most": limit, "behind": behind})
    return [row.target for row in found]


async def forget_rests(db: AsyncConnection) -> None:
    """Remove rests that are over."""
    await db.execute(delete(WebhookRest).where(col(WebhookRest.rests_until) <= now_ms()))


def _claim(row: RowMapping) -> Claim:
    own = {name: row[name] for name in _COLUMNS}
    return Claim(**own, by_hand=row["finished_at"] is not None)


async def _endpoints(db: AsyncConnection, ids: Iterable[str]) -> Mapping[str, Row]:
    return await _by_id(db, _ENDPOINTS, list(ids))


async def _secrets(
    db: AsyncConnection, tenant_ids: AbstractSet[str], box: SecretBox
) -> Mapping[str, Row]:
    found = await _by_id(db, _SECRETS, list(tenant_ids))
    for tenant_id in tenant_ids - found.keys():
        made = await store.ensure_secret(db, tenant_id, box)
        found[tenant_id] = {"secret": made["secret"], "old_secret": None}
    return found


async def _by_id(db: AsyncConnection, query: Select[Any], ids: list[str]) -> dict[str, Row]:
    rows = (await db.execute(query, {"ids": ids})).mappings() if ids else ()
    return {row["id"]: cast("Row", row) for row in rows}


def _is_deaf(claim: Claim, endpoints: Mapping[str, Row]) -> bool:
    endpoint = endpoints.get(claim.endpoint_id or "")
    return endpoint is None or not endpoint["listens"]


def _with_secrets(
    claims: Sequence[Claim], endpoints: Mapping[str, Row], secrets: Mapping[str, Row]
) -> Won:
    kept = []
    for each in claims:
        if each.endpoint_id is None:
            row, url, failing = secrets[each.tenant_id], each.url, False
        elif _is_deaf(each, endpoints):
            continue
        else:
            row = endpoints[each.endpoint_id]
            # The present one: it may have moved while the event was being written.
            url, failing = row["url"], row["failures"] > 0
        sealed = tuple(x for x in (row["secret"], row["old_secret"]) if x is not None)
        kept.append(replace(each, secrets=sealed, url=url, failing=failing))
    return Won(kept, len(claims) - len(kept))


_COLUMNS = (
    "id",
    "tenant_id",
    "endpoint_id",
    "target",
    "url",
    "event_id",
    "body",
    "tries",
    "tries_before",
    "claim_number",
    "created_at",
)
# Statements are built once: SQLAlchemy takes longer to put one together than SQLite to perform it.
_AT: BindParameter[str] = bindparam("at", type_=String)
_MOST: BindParameter[int] = bindparam("most", type_=Integer)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
# A literal: a partial index is only used where the plan can see it.
PENDING: ColumnElement[bool] = col(WebhookDelivery.state) == literal_column("'pending'")
_FREE = or_(col(WebhookDelivery.owner).is_(None), col(WebhookDelivery.lease_expires_at) <= now_ms())
_ASKED_FOR = and_(PENDING, col(WebhookDelivery.finished_at).is_not(None), _FREE)
_DUE = and_(
    PENDING,
    col(WebhookDelivery.finished_at).is_(None),
    col(WebhookDelivery.next_try_at) <= now_ms(),
    _FREE,
)


def _resting(target: ColumnElement[str]) -> ColumnElement[bool]:
    rest = select(true()).where(
        col(WebhookRest.target) == target, col(WebhookRest.rests_until) > now_ms()
    )
    return exists(rest.correlate_except(WebhookRest))


def _some(query: Select[Any]) -> Select[Any]:
    locked = query.where(col(WebhookDelivery.target) == _AT).limit(_MOST)
    return select(locked.with_for_update(skip_locked=True).subquery().c.id)


_ID = select(col(WebhookDelivery.id))
_ORDER = (col(WebhookDelivery.next_try_at), col(WebhookDelivery.id))
_CHOSEN = (
    union_all(
        _some(_ID.where(_ASKED_FOR)),
        _some(_ID.where(_DUE, ~_resting(_AT)).order_by(*_ORDER)),
    )
    .cte("chosen")
    # Once, whatever the plan: performed again it would choose others.
    .prefix_with("MATERIALIZED")
)
_TAKE = (
    update(WebhookDelivery)
    .where(col(WebhookDelivery.id).in_(select(_CHOSEN.c.id)))
    .values(
        owner=bindparam("claimer"),
        claim_number=WebhookDelivery.claim_number + 1,
        lease_expires_at=now_ms() + bindparam("lease_ms", type_=BigInteger),
    )
    .returning(
        *(WebhookDelivery.__table__.columns[name] for name in _COLUMNS),  # type: ignore[attr-defined]
        # Not `IS NOT NULL`: in a RETURNING SQLite 3.40 takes it for true.
        col(WebhookDelivery.finished_at),
        col(WebhookDelivery.next_try_at).label("due_at"),
    )
)


def _old_secret(table: type[WebhookEndpoint | WebhookSecret]) -> ColumnElement[Any]:
    return case((col(table.old_secret_until) > now_ms(), col(table.old_secret))).label("old_secret")


_ENDPOINTS = select(
    col(WebhookEndpoint.id),
    col(WebhookEndpoint.url),
    col(WebhookEndpoint.failures),
    col(WebhookEndpoint.secret),
    _old_secret(WebhookEndpoint),
    and_(
        col(WebhookEndpoint.disabled_at).is_(None), col(WebhookEndpoint.deleted_at).is_(None)
    ).label("listens"),
).where(col(WebhookEndpoint.id).in_(_IDS))
_SECRETS = select(
    col(WebhookSecret.tenant_id).label("id"), col(WebhookSecret.secret), _old_secret(WebhookSecret)
).where(col(WebhookSecret.tenant_id).in_(_IDS))
_LET_GO = {"owner": None, "lease_expires_at": None}
_SKIP = (
    update(WebhookDelivery)
    .where(col(WebhookDelivery.id).in_(_IDS))
    .values(state="skipped", next_try_at=None, finished_at=now_ms(), **_LET_GO)
)
_RELEASE = (
    update(WebhookDelivery)
    .where(
        col(WebhookDelivery.id) == _AT,
        col(WebhookDelivery.claim_number) == bindparam("number"),
        col(WebhookDelivery.owner) == bindparam("holder"),
        PENDING,
    )
    .values(**_LET_GO)
)


def _all_due_targets() -> Select[Any]:
    # From target to target along the index, however many deliveries wait for one of them.
    target = col(WebhookDelivery.target)
    first = func.min(target).label("target")
    onward = target > bindparam("behind", type_=String)
    waiting = select(first).where(PENDING, onward).cte("waiting", recursive=True)
    next_one = select(func.min(target)).where(PENDING, target > waiting.c.target).scalar_subquery()
    waiting = waiting.union_all(select(next_one).where(waiting.c.target.is_not(None)))
    here = target == waiting.c.target
    due = and_(exists(_ID.where(_DUE, here).correlate(waiting)), ~_resting(waiting.c.target))
    asked_for = exists(_ID.where(_ASKED_FOR, here).correlate(waiting))
    found = select(waiting.c.target).where(waiting.c.target.is_not(None), or_(due, asked_for))
    return found.limit(_MOST)


_DUE_TARGETS = _all_due_targets()
