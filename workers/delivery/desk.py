"""One try from claim to record: what a turn needs of the database and the network."""

import random
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import now_ms
from shared.database import UNAVAILABLE, Database, on_commit
from shared.failpoints import failpoint
from shared.group_commit import GroupCommit
from shared.settings import Settings
from shared.telemetry.webhook_metrics import WebhookMetrics
from shared.webhooks import delivery_store, tries_store
from shared.webhooks.delivery import Parcel, Sender
from shared.webhooks.delivery_store import Ask, Claim, Won
from shared.webhooks.outcome import Judgement, Outcome, TryError, judge
from shared.webhooks.schedule import next_try_s, target_rests_s
from shared.webhooks.secrets import SecretBox, SecretUnreadable
from shared.webhooks.signing import signed_headers
from shared.webhooks.tries_store import Report, WhyDisabled

log = structlog.get_logger()

PATIENCE_S = 60.0
"""How long a report waits for a database that is away; after that the delivery is tried again."""


class Desk:
    """Claims deliveries, sends them and writes down what came of it."""

    def __init__(
        self, database: Database, settings: Settings, sender: Sender, box: SecretBox, *, owner: str
    ) -> None:
        self._database = database
        self._settings = settings
        self._sender = sender
        self._box = box
        self._owner = owner
        self._metrics = WebhookMetrics()
        # A claim outlasts its batch: tries begin in its first half, and one may take all its time.
        self.begin_within_s = settings.lease_s / 2
        self._lease_ms = round((settings.lease_s + settings.webhook_timeout_s) * 1000)
        self._claims: GroupCommit[Ask, Won] = GroupCommit(database, self._claim)
        self._reports: GroupCommit[Report, bool] = GroupCommit(
            database, self._write, patience_s=PATIENCE_S
        )

    async def claim(self, target: str, limit: int) -> Won:
        """Take what is due to a target; nothing while the database is away."""
        try:
            return await self._claims.add(Ask(target, limit))
        except UNAVAILABLE as error:
            log.warning("webhook.claim_failed", error=str(error))
            return Won()

    async def release(self, claims: Sequence[Claim]) -> None:
        """Let go of claims; those that cannot be let go run out."""
        with suppress(*UNAVAILABLE):
            async with self._database.transaction() as db:
                await delivery_store.release(db, claims, owner=self._owner)

    async def attempt(self, claim: Claim) -> Report:
        """Send a delivery once; what follows from the outcome is in the report."""
        outcome = await self._send(claim)
        failpoint("after_webhook_post")
        judgement = judge(outcome)
        self._metrics.tried(outcome.error or judgement, seconds=outcome.total_ms / 1000)
        asked_s, rest_s = outcome.retry_after_s, self._settings.webhook_rest_s
        wait_s = next_try_s(
            judgement,
            tries=claim.tries + 1 - claim.tries_before,
            delays=self._settings.webhook_schedule_s,
            rest_s=rest_s,
            retry_after_s=asked_s,
            chance=random.random(),  # noqa: S311  jitter, not a secret
        )
        rests_s = target_rests_s(judgement, rest_s=rest_s, retry_after_s=asked_s)
        return Report(claim, outcome, judgement, wait_s, rests_s)

    async def record(self, report: Report) -> None:
        """Write down what came of a try; if that fails, the delivery is tried again in time."""
        claim = report.claim
        try:
            kept = await self._reports.add(report)
        except Exception as error:  # noqa: BLE001  one report must not end the others' turn
            log.warning("webhook.not_recorded", delivery_id=claim.id, error=str(error))
            return
        log.debug(
            "webhook.tried",
            tenant_id=claim.tenant_id,
            delivery_id=claim.id,
            status=report.outcome.status_code,
            error=report.outcome.error,
            kept=kept,
        )
        if not kept:
            self._metrics.lost()
        elif report.judgement is Judgement.DELIVERED:
            lag_ms = report.outcome.started_at + report.outcome.total_ms - claim.created_at
            self._metrics.delivered(lag_s=lag_ms / 1000)
        elif report.next_try_s is None and not claim.by_hand:
            self._metrics.failed()
            log.warning(
                "webhook.given_up",
                tenant_id=claim.tenant_id,
                delivery_id=claim.id,
                tries=claim.tries + 1,
            )

    async def close(self) -> None:
        """Write what is pending."""
        await self._claims.close()
        await self._reports.close()

    async def _send(self, claim: Claim) -> Outcome:
        at_ms = now_ms()
        try:
            secrets = [self._box.open(sealed) for sealed in claim.secrets]
            headers = signed_headers(claim.event_id, claim.body, secrets, at_ms=at_ms)
        except SecretUnreadable as error:
            log.warning("webhook.secret_unreadable", tenant_id=claim.tenant_id, error=str(error))
            message = "The signing secret cannot be read: rotate it."
            return Outcome(at_ms, 0, error=TryError.SECRET_UNREADABLE, error_message=message)
        except Exception:
            # On its schedule it harms no other; thrown on, it would come back at once.
            log.exception("webhook.not_signed", delivery_id=claim.id)
            message = "It could not be signed."
            return Outcome(at_ms, 0, error=TryError.INTERNAL, error_message=message)
        return await self._sender.send(Parcel(claim.url, headers, claim.body))

    async def _claim(self, db: AsyncConnection, asks: Sequence[Ask]) -> Sequence[Won]:
        won = await delivery_store.claim(
            db, asks, owner=self._owner, lease_ms=self._lease_ms, box=self._box
        )
        if skipped := sum(each.skipped for each in won):
            on_commit(db, partial(self._metrics.skipped, skipped))
        return won

    async def _write(self, db: AsyncConnection, reports: Sequence[Report]) -> Sequence[bool]:
        recorded = await tries_store.record(
            db,
            reports,
            owner=self._owner,
            disable_after_ms=round(self._settings.webhook_disable_after_s * 1000),
        )
        for endpoint_id, reason in recorded.disabled:
            on_commit(db, partial(self._disabled, endpoint_id, reason))
        return recorded.kept

    def _disabled(self, endpoint_id: str, reason: WhyDisabled) -> None:
        self._metrics.disabled(reason.name.lower())
        log.warning("webhook.endpoint_disabled", endpoint_id=endpoint_id, reason=reason)
