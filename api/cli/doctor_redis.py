"""The doctor on Redis: is it there, does it keep what it is given, does it forget nothing?"""

from collections.abc import AsyncIterator, Iterator, Mapping
from time import monotonic
from typing import Any

import redis
from redis.asyncio import Redis

from api.cli import embedded_redis
from api.cli.configuration import uses_embedded_redis
from api.cli.errors import first_line
from api.cli.finding import Finding, fail, ok, skew, warn
from shared import clock
from shared.redis import connect
from shared.settings import Settings

PART = "redis"
LEAST_VERSION = (6, 2)
SLOW_MS = 20.0


def url_of(settings: Settings) -> str | None:
    """Return where Redis answers; None when `up` brings its own and has not started it."""
    if not uses_embedded_redis(settings):
        return settings.redis_url
    try:
        return (settings.data_dir / "redis" / embedded_redis.URL).read_text("utf-8").strip()
    except OSError:
        return None


def not_started() -> Finding:
    """Judge the embedded Redis while it is not running: can `up` start it?"""
    try:
        server = embedded_redis.find_server()
    except embedded_redis.ServerNotFoundError as error:
        return fail(PART, str(error))
    return warn(
        PART, f"not running; `penstock up` starts {server}, as PENSTOCK_REDIS_URL is not set"
    )


async def examine(url: str) -> AsyncIterator[Finding]:
    """Judge a Redis that should be running."""
    try:
        client = connect(url)
    except ValueError as error:
        yield fail(PART, f"PENSTOCK_REDIS_URL cannot be used: {first_line(error)}")
        return
    async with client:
        try:
            async for finding in _ask(client):
                yield finding
        except (redis.RedisError, OSError) as error:
            yield fail(PART, f"it does not answer: {first_line(error)}")


async def _ask(client: Redis) -> AsyncIterator[Finding]:
    await client.ping()
    began = monotonic()
    await client.ping()
    latency_ms = (monotonic() - began) * 1000
    yield judge_latency(latency_ms)
    for finding in judge(await client.info()):
        yield finding
    before = clock.now_ms()
    seconds, micros = await client.time()
    theirs = int(seconds) * 1000 + int(micros) // 1000
    yield skew("redis clock", theirs_ms=theirs, before_ms=before, after_ms=clock.now_ms())


def judge_latency(latency_ms: float) -> Finding:
    """Judge one round trip: every claim and every limiter decision takes one."""
    words = f"answers in {latency_ms:.1f} ms"
    return warn(PART, f"{words}: move it nearer") if latency_ms > SLOW_MS else ok(PART, words)


def judge(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge what INFO says: it is allowed also where CONFIG is not."""
    yield _version(str(info.get("redis_version", "0")))
    yield _append_only(info)
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield ok("redis memory", "nothing is evicted")
    else:
        words = f"maxmemory-policy is {policy}: Redis may throw work away; set it to noeviction"
        yield fail("redis memory", words)
    if info.get("role") == "slave":
        yield fail(PART, "this is a replica, which takes no writes: name the primary")


def _version(text: str) -> Finding:
    parts = tuple(int(each) for each in text.split(".")[:2] if each.isdecimal())
    if parts < LEAST_VERSION:
        return fail("redis version", f"{text}: 6.2 or newer is needed")
    return ok("redis version", text)


def _append_only(info: Mapping[str, Any]) -> Finding:
    if not info.get("aof_enabled"):
        words = (
            "appendonly is no: a restart forgets wake-ups and limits, and work waits to be found"
            " again; set it to yes"
        )
        return fail("redis log", words)
    if info.get("aof_last_write_status", "ok") != "ok":
        return fail("redis log", "its last write failed: is the disk full?")
    return ok("redis log", "every write is logged (appendonly yes)")
