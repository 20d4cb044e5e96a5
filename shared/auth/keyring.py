"""Telling who a caller is, in microseconds: the database is asked once in a few seconds for a key."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row

from shared import clock, crypto
from shared.auth import keys, store
from shared.auth.permissions import Principal, Role
from shared.database import Database, is_unavailable
from shared.errors import Unauthenticated, Unavailable

FRESH_S = 5.0
MAX_KNOWN = 10_000
MAX_REFUSED = 1_000
NOTE_USE_MS = 60_000
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What we know of a presented key until `until` (monotonic seconds)."""

    until: float
    principal: Principal | None
    refusal: str = ""


class Keyring:
    """One per process. A key revoked elsewhere works here for `fresh_s` more seconds at most.

    Strangers' keys are remembered apart from good ones, so that a flood of them pushes none out.
    """

    def __init__(
        self,
        database: Database,
        secret_key: bytes,
        *,
        fresh_s: float = FRESH_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._secret_key = secret_key
        self._fresh_s = fresh_s
        self._monotonic = monotonic
        self._known: dict[str, _Verdict] = {}
        self._refused: dict[str, _Verdict] = {}
        self._asking: dict[str, asyncio.Task[_Verdict]] = {}
        self._used: set[str] = set()
        self._noting: asyncio.Task[None] | None = None

    async def authenticate(self, presented: str) -> Principal:
        """Return whose key this is.

        Raises:
            Unauthenticated: not a key of ours, or one that was revoked or has expired.
            Unavailable: the database is out of reach and the key is not known from just before.
        """
        if not keys.MIN_LENGTH <= len(presented) <= keys.MAX_LENGTH:
            raise Unauthenticated(_UNKNOWN)
        shown = keys.read(self._secret_key, presented)
        verdict = self._known.get(shown.digest) or self._refused.get(shown.digest)
        if verdict is None or verdict.until <= self._monotonic():
            verdict = await self._ask(shown)
        if verdict.principal is None:
            raise Unauthenticated(verdict.refusal)
        return verdict.principal

    def forget(self, key_id: str) -> None:
        """Ask the database again about a key, because it was just changed."""
        for digest, verdict in list(self._known.items()):
            if verdict.principal is not None and verdict.principal.key_id == key_id:
                del self._known[digest]

    async def close(self) -> None:
        """Finish noting which keys were in use."""
        if self._noting is not None:
            await self._noting

    async def _ask(self, shown: keys.Presented) -> _Verdict:
        task = self._asking.get(shown.digest)
        if task is None:
            # A thousand requests that find the answer stale ask one question.
            task = asyncio.create_task(self._look_up(shown), name="keyring-look-up")
            self._asking[shown.digest] = task
        try:
            return await asyncio.shield(task)
        except Exception as error:
            if not is_unavailable(error):
                raise
            detail = "The key store is out of reach. Try again."
            raise Unavailable(detail, code="store_unavailable", retry_after_s=2) from error

    async def _look_up(self, shown: keys.Presented) -> _Verdict:
        try:
            async with self._database.reading() as db:
                row = await store.find(db, shown.prefix)
            verdict = self._judge(shown, row)
            self._remember(shown.digest, verdict)
        finally:
            del self._asking[shown.digest]
        return verdict

    def _judge(self, shown: keys.Presented, row: Row[Any] | None) -> _Verdict:
        now, until = clock.now_ms(), self._monotonic() + self._fresh_s
        if row is None or not crypto.same(row.digest, shown.digest):
            return _Verdict(until, None, _UNKNOWN)
        if row.revoked_at is not None:
            return _Verdict(until, None, f"This API key ({row.id}) was revoked: use another one.")
        if row.expires_at is not None:
            if row.expires_at <= now:
                moment = clock.rfc3339(row.expires_at)
                return _Verdict(until, None, f"This API key ({row.id}) expired at {moment}.")
            until = min(until, self._monotonic() + (row.expires_at - now) / 1000)
        if row.last_used_at is None or row.last_used_at < now - NOTE_USE_MS:
            self._note_use(row.id)
        return _Verdict(until, Principal(row.tenant_id, row.id, Role(row.role)))

    def _remember(self, digest: str, verdict: _Verdict) -> None:
        self._known.pop(digest, None)
        self._refused.pop(digest, None)
        good = verdict.principal is not None
        memory, most = (self._known, MAX_KNOWN) if good else (self._refused, MAX_REFUSED)
        if len(memory) >= most:
            del memory[next(iter(memory))]
        memory[digest] = verdict

    def _note_use(self, key_id: str) -> None:
        self._used.add(key_id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._write_uses(), name="keyring-uses")

    async def _write_uses(self) -> None:
        while self._used:
            used, self._used = sorted(self._used), set()
            try:
                async with self._database.transaction() as db:
                    await store.touch(db, used, at=clock.now_ms())
            except Exception as error:  # noqa: BLE001  nobody's request fails for want of a note
                log.warning("auth.use_not_noted", keys=len(used), error=type(error).__name__)


_UNKNOWN = (
    "This is not an API key of this service. Send one as `Authorization: Bearer pk_…`;"
    " an administrator makes them with POST /v1/keys or `penstock keys create`."
)
