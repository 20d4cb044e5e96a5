"""Breakers: a deployment that keeps failing is left alone, and asked again by one probe at a time.

Calls of a closed breaker cost no round trip: what went well is counted here and told in groups, a
failure at once; what all processes know comes back by a task that reads it. While Redis is away what was
read last holds: the limiter stops calls anyway, and when it lets them go again that must not be at once
to what is down.
"""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from shared.endings import end
from shared.routing.breaker_states import (
    STATES_KEY,
    WINDOW_KEY,
    BreakerState,
    Standing,
    Verdict,
    read_standings,
    spell,
    standings,
)
from shared.routing.model import BreakerRule

TICK_S = 0.25
PROBE_LEASE_S = 5.0
ASK_AGAIN_S = 0.25
"""Who finds a probe out comes back as soon as it may be over."""
TIMEOUT_S = 2.0
AWAY = (RedisError, OSError, TimeoutError)
CLOSED, OPEN, DUE, OUT, YOURS = range(5)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pass:
    """A call may go; `probe` names it where it is the one that tells whether the deployment is well."""

    deployment: str
    rule: BreakerRule
    probe: str | None = None


@dataclass(frozen=True, slots=True)
class Shut:
    """No call may go for `delay_s` seconds."""

    delay_s: float


@dataclass(slots=True)
class _Count:
    rule: BreakerRule
    good: int = 0
    bad: int = 0
    sending: bool = False


class Breakers:
    """One per process and event loop; `told` hears the name and the state of each change made here."""

    def __init__(
        self,
        redis: Redis,
        *,
        tick_s: float = TICK_S,
        told: Callable[[str, BreakerState], None] = lambda _name, _state: None,
        clock: Callable[[], int] | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        """Begin with all closed; `clock` (ms) replaces Redis's own in tests, `dice` is 0..1."""
        self._redis = redis
        self._tick_s = tick_s
        self._told = told
        self._clock = clock
        self._dice = dice
        text = (Path(__file__).parent / "breaker.lua").read_text("utf-8")
        # Redis names a script by its SHA-1; nothing is protected by it.
        self._script = text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._standings: Mapping[str, Standing] = {}
        self._counts: dict[str, _Count] = {}
        self._probes: dict[str, Pass] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._away = False

    async def start(self) -> None:
        """Read what is known, then begin to tell and to read in the background."""
        with contextlib.suppress(*AWAY):
            await self.refresh()
        self._ticking = asyncio.create_task(self._tick(), name="breakers")

    async def close(self) -> None:
        """Tell what is left, and stop."""
        await end(self._ticking)
        with contextlib.suppress(*AWAY):
            await self._tell_all()
        await self.told_all()

    async def told_all(self) -> None:
        """Return once everything that was to be told at once is told."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def open(self) -> Mapping[str, Standing]:
        """Every breaker that is not closed, as it was read last."""
        return self._standings

    @property
    def shut(self) -> dict[str, float]:
        """Those that are not closed, with the seconds until a probe may go."""
        at = monotonic()
        return {name: standing.shut_s(at) for name, standing in self._standings.items()}

    def shut_s(self, deployment: str) -> float:
        """Return for how many seconds no call may go there; 0: it may, or a probe may."""
        standing = self._standings.get(deployment)
        return 0.0 if standing is None else standing.shut_s(monotonic())

    async def enter(self, deployment: str, rule: BreakerRule, call: str) -> Pass | Shut:
        """Ask for a call; only a breaker that is not closed costs a round trip, and only for a probe.

        Every `Pass` must come back by `left`.
        """
        standing = self._standings.get(deployment)
        if standing is None:
            return Pass(deployment, rule)
        if (shut_s := standing.shut_s(monotonic())) > 0:
            return Shut(_soon(standing, shut_s))
        try:
            reply = await self._run("probe", deployment, rule, call, _ms(PROBE_LEASE_S))
        except AWAY:
            return Shut(ASK_AGAIN_S)
        if reply[0] == YOURS:
            granted = Pass(deployment, rule, probe=call)
            self._probes[call] = granted
            return granted
        self._learn(deployment, reply)
        if reply[0] == CLOSED:
            return Pass(deployment, rule)
        standing = self._standings[deployment]
        return Shut(_soon(standing, standing.shut_s(monotonic())))

    def left(self, granted: Pass, verdict: Verdict) -> None:
        """Note how a call ended; a failure and a probe are told at once."""
        if granted.probe is not None:
            self._probes.pop(granted.probe, None)
            self._soon(self._probed(granted, verdict))
            return
        if verdict is Verdict.NONE:
            return
        count = self._counts.setdefault(granted.deployment, _Count(granted.rule))
        count.rule = granted.rule
        if verdict is Verdict.GOOD:
            count.good += 1
            return
        count.bad += 1
        if not count.sending:
            count.sending = True
            self._soon(self._tell(granted.deployment, count))

    async def trip(self, deployment: str, rule: BreakerRule) -> None:
        """Open a breaker, whatever its calls say; one that is not closed stays as it is."""
        with contextlib.suppress(*AWAY):
            self._learn(deployment, await self._run("trip", deployment, rule))

    async def refresh(self) -> None:
        """Tell what was counted, renew the probes of this process, and read all states."""
        await self._tell_all()
        for granted in list(self._probes.values()):
            holder = granted.probe or ""
            await self._run("probe", granted.deployment, granted.rule, holder, _ms(PROBE_LEASE_S))
        async with asyncio.timeout(TIMEOUT_S):
            self._standings = await self._read()

    async def _read(self) -> dict[str, Standing]:
        if self._clock is None:
            return await read_standings(self._redis)
        stored = await cast("Any", self._redis.hgetall(STATES_KEY))
        return standings(stored, clock_ms=self._clock(), at=monotonic())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._tick_s)
            try:
                await self.refresh()
                self._away = False
            except AWAY as error:
                if not self._away:
                    log.warning("breakers.unknown", error=str(error))
                self._away = True
            except Exception:
                # Whatever happened once must not end what leads around failures.
                log.exception("breakers.crashed")

    async def _tell_all(self) -> None:
        for name, count in list(self._counts.items()):
            if not (count.good or count.bad):
                del self._counts[name]
            elif not count.sending:
                await self._report(name, count)

    async def _tell(self, name: str, count: _Count) -> None:
        try:
            # What fails meanwhile goes along in the next round, in one piece.
            while count.bad:
                await self._report(name, count)
        except AWAY:
            count.good = count.bad = 0
        finally:
            count.sending = False

    async def _report(self, name: str, count: _Count) -> None:
        good, bad = count.good, count.bad
        count.good = count.bad = 0
        reply = await self._run("report", name, count.rule, good, bad)
        self._learn(name, reply)

    async def _probed(self, granted: Pass, verdict: Verdict) -> None:
        with contextlib.suppress(*AWAY):
            name, holder = granted.deployment, granted.probe or ""
            reply = await self._run("probed", name, granted.rule, holder, verdict.value)
            self._learn(name, reply)

    def _learn(self, name: str, reply: list[int]) -> None:
        code, left_ms, trips, changed = reply
        known = {each: its for each, its in self._standings.items() if each != name}
        if code != CLOSED:
            until = monotonic() + left_ms / 1000
            known[name] = Standing(trips, until) if code == OPEN else Standing(trips, 0.0, until)
        self._standings = known
        if changed:
            state = BreakerState.CLOSED if code == CLOSED else BreakerState.OPEN
            note = log.info if code == CLOSED else log.warning
            note("breaker.changed", deployment=name, state=state, trips=trips, for_s=left_ms / 1000)
            self._told(name, state)

    def _soon(self, telling: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(telling, name="breaker")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self, verb: str, name: str, rule: BreakerRule, *arguments: str | int
    ) -> list[int]:
        text, sha = self._script
        clock = "" if self._clock is None else self._clock()
        chance = int(self._dice() * 1000)
        keys = (2, STATES_KEY, WINDOW_KEY + name)
        given = (*keys, clock, verb, name, *spell(rule), chance, *arguments)
        run = cast("Any", self._redis.execute_command)
        async with asyncio.timeout(TIMEOUT_S):
            try:
                reply = await run("EVALSHA", sha, *given)
            except NoScriptError:
                reply = await run("EVAL", text, *given)
        return [int(each) for each in reply]


def _soon(standing: Standing, shut_s: float) -> float:
    # The probe that is out may be over at any time: its lease says only when at the latest.
    return min(shut_s, ASK_AGAIN_S) if standing.probe_at <= monotonic() else shut_s


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
