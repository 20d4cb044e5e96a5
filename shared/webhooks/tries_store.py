"""SQL of what came of tries: the log, the delivery's next state, the endpoint's record."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Integer,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from shared.database import insert_on_conflict, now_ms
from shared.webhooks import store
from shared.webhooks.delivery_store import PENDING, Claim
from shared.webhooks.model import WebhookDelivery, WebhookEndpoint, WebhookRest, WebhookTry
from shared.webhooks.outcome import Judgement, Outcome

FEWEST_FAILURES = 10


class WhyDisabled(StrEnum):
    """Why an endpoint is not sent to any more; its owner reads it."""

    GONE = "the receiver answered 410 Gone"
    FAILING = "every try failed for days"


@dataclass(frozen=True, slots=True)
class Report:
    """A try that was made: nothing follows if `next_try_s` is None, the target rests for `rest_s`."""

    claim: Claim
    outcome: Outcome
    judgement: Judgement
    next_try_s: float | None
    rest_s: float = 0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Which reports were of claims that still held, and which endpoints were disabled for them."""

    kept: Sequence[bool]
    disabled: Sequence[tuple[str, WhyDisabled]]


async def record(
    db: AsyncConnection, reports: Sequence[Report], *, owner: str, disable_after_ms: int
) -> Recorded:
    """Write what came of tries; who has lost a claim changes nothing of its delivery.

    Endpoints are locked before deliveries, each in order, so that writers never wait in a circle.
    """
    deaf, ended = await _note_on_endpoints(db, reports, disable_after_ms=disable_after_ms)
    held = await _fence(db, reports, owner)
    kept = [report for report in reports if _key(report.claim) in held]
    if kept:
        await _log(db, kept)
        await _end(db, kept)
    rests = [report for report in kept if report.rest_s]
    if rests:
        await _rest(db, rests)
    disabled = [each for each in ended if await store.disable(db, each[0], reason=each[1])]
    for endpoint_id in deaf:
        # Another's failure disabled it while this one was on its way.
        await store.skip_pending(db, endpoint_id)
    return Recorded([_key(report.claim) in held for report in reports], disabled)


def _key(claim: Claim) -> tuple[str, int]:
    return claim.id, claim.claim_number


async def _note_on_endpoints(
    db: AsyncConnection, reports: Sequence[Report], *, disable_after_ms: int
) -> tuple[list[str], list[tuple[str, WhyDisabled]]]:
    """Count failures and forget them at a success; return who listens no more, and who shall not.

    A try happened even if its claim was lost by now.
    """
    told = [(x.claim.endpoint_id, x.judgement, x.claim.failing) for x in reports]
    well = {to for to, judgement, _ in told if to and judgement is Judgement.DELIVERED}
    failed = Counter(to for to, judgement, _ in told if to and judgement is not Judgement.DELIVERED)
    better = {to for to, _, failing in told if to in well and (failing or to in failed)}
    gone = {to for to, judgement, _ in told if to and judgement is Judgement.GONE}
    touched = sorted({*failed, *better})
    if not touched:
        return [], []
    deaf, ended = [], []
    rows = (await db.execute(_ENDPOINTS, {"ids": touched})).all()
    for row in rows:
        if row.disabled_at is not None or row.deleted_at is not None:
            deaf.append(row.id)
        elif row.id in gone:
            ended.append((row.id, WhyDisabled.GONE))
        elif row.id not in well and _has_had_it(row, failed[row.id], disable_after_ms):
            ended.append((row.id, WhyDisabled.FAILING))
    bad = [each for each in touched if each not in well]
    if better:
        await db.execute(_RECOVERED, {"ids": sorted(better)})
    if bad:
        await db.execute(_FAILED, [{"at": each, "more": failed[each]} for each in bad])
    return deaf, ended


def _has_had_it(row: Any, more: int, disable_after_ms: int) -> bool:
    enough = row.failures + more >= FEWEST_FAILURES
    return enough and row.failing_since is not None and row.failing_ms >= disable_after_ms


async def _fence(
    db: AsyncConnection, reports: Sequence[Report], owner: str
) -> set[tuple[str, int]]:
    ids = sorted({report.claim.id for report in reports})
    rows = await db.execute(_HELD, {"ids": ids, "holder": owner})
    return {(row.id, row.claim_number) for row in rows}


async def _log(db: AsyncConnection, reports: Sequence[Report]) -> None:
    # It may be there from a commit whose answer was lost.
    statement = insert_on_conflict(db, WebhookTry).on_conflict_do_nothing()
    await db.execute(statement, [_try_row(report) for report in reports])


def _try_row(report: Report) -> dict[str, Any]:
    outcome = report.outcome
    return {
        "delivery_id": report.claim.id,
        "number": report.claim.tries + 1,
        "started_at": outcome.started_at,
        "total_ms": outcome.total_ms,
        "status_code": outcome.status_code,
        "response": outcome.response,
        "ip": outcome.ip,
        "error": outcome.error,
        "error_message": outcome.error_message,
        "manual": report.claim.by_hand,
    }


async def _end(db: AsyncConnection, reports: Sequence[Report]) -> None:
    delivered, again, failed, by_hand = [], [], [], []
    for report in reports:
        at = report.claim.id
        if report.judgement is Judgement.DELIVERED:
            delivered.append(at)
        elif report.claim.by_hand:
            by_hand.append(at)
        elif report.next_try_s is None:
            failed.append(at)
        else:
            again.append({"at": at, "wait_ms": round(report.next_try_s * 1000)})
    for statement, ids in ((_DELIVERED, delivered), (_GIVEN_UP, failed), (_AS_BEFORE, by_hand)):
        if ids:
            await db.execute(statement, {"ids": ids})
    if again:
        await db.execute(_AGAIN, again)


async def _rest(db: AsyncConnection, reports: Sequence[Report]) -> None:
    longest: dict[str, int] = {}
    for report in reports:
        rest_ms = round(report.rest_s * 1000)
        longest[report.claim.target] = max(rest_ms, longest.get(report.claim.target, 0))
    row = insert_on_conflict(db, WebhookRest).values(
        rests_until=now_ms() + bindparam("rest_ms", type_=BigInteger)
    )
    later = case(
        (row.excluded.rests_until > col(WebhookRest.rests_until), row.excluded.rests_until),
        else_=col(WebhookRest.rests_until),
    )
    upsert = row.on_conflict_do_update(index_elements=["target"], set_={"rests_until": later})
    rows = [{"target": target, "rest_ms": rest_ms} for target, rest_ms in sorted(longest.items())]
    await db.execute(upsert, rows)


# Statements are built once: SQLAlchemy takes longer to put one together than SQLite to perform it.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_HELD = (
    select(col(WebhookDelivery.id), col(WebhookDelivery.claim_number))
    .where(
        col(WebhookDelivery.id).in_(_IDS),
        col(WebhookDelivery.owner) == bindparam("holder"),
        PENDING,
    )
    .order_by(col(WebhookDelivery.id))
    .with_for_update()
)
_TRIED = update(WebhookDelivery).values(
    tries=WebhookDelivery.tries + 1, owner=None, lease_expires_at=None
)
_ENDED = _TRIED.where(col(WebhookDelivery.id).in_(_IDS)).values(
    next_try_at=None, finished_at=now_ms()
)
_DELIVERED = _ENDED.values(state="delivered")
_GIVEN_UP = _ENDED.values(state="failed")
_ARRIVED = exists(
    select(true()).where(
        col(WebhookTry.delivery_id) == col(WebhookDelivery.id),
        and_(col(WebhookTry.status_code) >= 200, col(WebhookTry.status_code) < 300),  # noqa: PLR2004
    )
)
# What was asked for by hand and failed is what it was before.
_AS_BEFORE = _ENDED.values(state=case((_ARRIVED, "delivered"), else_="failed"))
_AGAIN = _TRIED.where(col(WebhookDelivery.id) == bindparam("at")).values(
    next_try_at=now_ms() + bindparam("wait_ms", type_=BigInteger)
)
_ENDPOINTS = (
    select(
        col(WebhookEndpoint.id),
        col(WebhookEndpoint.disabled_at),
        col(WebhookEndpoint.deleted_at),
        col(WebhookEndpoint.failures),
        col(WebhookEndpoint.failing_since),
        (now_ms() - col(WebhookEndpoint.failing_since)).label("failing_ms"),
    )
    .where(col(WebhookEndpoint.id).in_(_IDS))
    .order_by(col(WebhookEndpoint.id))
    .with_for_update()
)
_RECOVERED = (
    update(WebhookEndpoint)
    .where(col(WebhookEndpoint.id).in_(_IDS))
    .values(failures=0, failing_since=None)
)
_FAILED = (
    update(WebhookEndpoint)
    .where(col(WebhookEndpoint.id) == bindparam("at"))
    .values(
        failures=WebhookEndpoint.failures + bindparam("more", type_=Integer),
        failing_since=func.coalesce(col(WebhookEndpoint.failing_since), now_ms()),
    )
)
