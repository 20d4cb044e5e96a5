"""Probes of deployments whose operator wants them asked whether they are well: the leader's, a few at a time.

A probe passes breaker and limiter as every call does. Two that fail one after the other leave the
deployment alone; while it is left alone its next probe is the one that may bring it back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import structlog
from pydantic import JsonValue

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.jobs.lanes import lane_of
from shared.limiter.buckets import Cost, Outcome
from shared.limiter.limiter import Limiter, Reservation
from shared.providers.errors import ProviderError
from shared.providers.registry import NotConfigured
from shared.routing.breaker import Breakers, Pass
from shared.routing.breaker_states import Verdict
from shared.routing.catalog import Catalog
from shared.routing.model import BreakerRule, Capability, HealthCheck, Target
from workers.attempt.settle import UNWELL
from workers.provider_pool import ProviderPool

AT_ONCE = 8
TIMEOUT_S = 10.0
LEASE_S = 60.0
FAILED_BEFORE = 2
BROKEN = 500
TINY = Cost(1, 16, 16)
_SAID: JsonValue = [{"role": "user", "content": "ping"}]
PINGS: Mapping[Dialect, Mapping[str, JsonValue]] = {
    Dialect.CHAT: {"messages": _SAID, "max_tokens": 1},
    Dialect.MESSAGES: {"messages": _SAID, "max_tokens": 1},
    Dialect.GEMINI: {"contents": [{"role": "user", "parts": [{"text": "ping"}]}]},
    # It refuses less than 16.
    Dialect.RESPONSES: {"input": "ping", "max_output_tokens": 16},
}
"""The shortest question, in the order in which a dialect is chosen."""
Ask = Callable[[Target, HealthCheck], Awaitable[Verdict]]
log = structlog.get_logger()


class HealthChecks:
    """One per scheduler; `ask` replaces the call itself in tests."""

    def __init__(
        self,
        catalog: Catalog,
        limiter: Limiter,
        breakers: Breakers,
        providers: ProviderPool,
        ask: Ask | None = None,
    ) -> None:
        self._catalog = catalog
        self._limiter = limiter
        self._breakers = breakers
        self._providers = providers
        self._ask = ask or self._really
        self._due: dict[str, float] = {}
        self._bad: dict[str, int] = {}

    async def perform(self) -> None:
        """Probe those whose time has come."""
        now = monotonic()
        wanted = {
            each.deployment.name: each
            for each in reversed(list(self._catalog.lanes().values()))
            if each.deployment.health is not None
        }
        self._due = {name: at for name, at in self._due.items() if name in wanted}
        due = [name for name in wanted if self._due.get(name, 0.0) <= now][:AT_ONCE]
        await asyncio.gather(*(self._probe(wanted[name]) for name in due))

    async def _probe(self, target: Target) -> None:
        deployment, check = target.deployment, target.deployment.health
        if check is None:
            return
        self._due[deployment.name] = monotonic() + check.every_s
        operation = f"health:{uuid4().hex}"
        passed = await self._breakers.enter(deployment.name, self._rule(target), operation)
        if not isinstance(passed, Pass):
            return
        verdict = Verdict.NONE
        try:
            verdict = await self._admitted(target, check, operation)
        finally:
            self._breakers.left(passed, verdict)
        await self._count(passed, verdict)

    async def _admitted(self, target: Target, check: HealthCheck, operation: str) -> Verdict:
        lane = lane_of(target)
        held = await self._limiter.acquire(lane, operation, TINY, lease_ttl_s=LEASE_S)
        if not isinstance(held, Reservation):
            # Who is as busy as its limits allow needs no probe.
            return Verdict.NONE
        verdict = Verdict.NONE
        try:
            verdict = await self._ask(target, check)
            return verdict
        finally:
            outcome = Outcome.OK if verdict is Verdict.GOOD else Outcome.FAILED
            await self._limiter.settle(held, TINY, outcome=outcome)

    async def _count(self, passed: Pass, verdict: Verdict) -> None:
        name = passed.deployment
        if verdict is not Verdict.BAD:
            self._bad.pop(name, None)
            return
        self._bad[name] = self._bad.get(name, 0) + 1
        log.warning("health.unwell", deployment=name, times=self._bad[name])
        if self._bad[name] >= FAILED_BEFORE and passed.probe is None:
            await self._breakers.trip(name, passed.rule)

    def _rule(self, target: Target) -> BreakerRule:
        name = target.deployment.name
        routes = (route for _, route in self._catalog.routes() if name in route.pools)
        return next((each.breaker for each in routes if each.model != name), BreakerRule())

    async def _really(self, target: Target, check: HealthCheck) -> Verdict:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                if check.path is not None:
                    return await _get(target, check.path)
                return await self._call(target)
        except (TimeoutError, httpx.HTTPError, OSError) as error:
            log.debug("health.unreachable", error=str(error))
            return Verdict.BAD
        except NotConfigured:
            return Verdict.NONE

    async def _call(self, target: Target) -> Verdict:
        provider, deployment = self._providers.get(target), target.deployment
        embeds = deployment.capabilities == frozenset({Capability.EMBEDDINGS})
        try:
            if embeds:
                body = {"model": deployment.model, "input": "ping"}
                request = InferenceRequest(deployment.model, body, Dialect.EMBEDDINGS)
                await provider.embed(request)
            else:
                await provider.generate(_ping(deployment.model, provider.dialects))
        except UNWELL:
            return Verdict.BAD
        except ProviderError:
            # It answered, if only to refuse.
            return Verdict.NONE
        return Verdict.GOOD


def _ping(model: str, dialects: frozenset[Dialect]) -> InferenceRequest:
    """Ask in a dialect that a provider knows."""
    dialect = next((each for each in PINGS if each in dialects), Dialect.CHAT)
    return InferenceRequest(model, PINGS[dialect], dialect)


async def _get(target: Target, path: str) -> Verdict:
    parts = urlsplit(target.deployment.base_url or "")
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
        response = await client.get(url, headers=dict(target.deployment.headers))
    return Verdict.BAD if response.status_code >= BROKEN else Verdict.GOOD
