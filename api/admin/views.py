"""What an operator is shown of deployments and routes: everything but the keys."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from redis.exceptions import RedisError

from shared.clock import rfc3339
from shared.jobs.lanes import lane_of
from shared.limiter.rooms import OPEN, Room, Rooms
from shared.resources import Resources
from shared.routing.breaker_states import BreakerState, Standing, read_standings
from shared.routing.model import Deployment, Route, Target
from shared.routing.sealing import hint

log = structlog.get_logger()
Json = dict[str, Any]
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class States:
    """How the deployments are doing; `breakers` None: Redis does not say."""

    rooms: Mapping[str, Room]
    breakers: Mapping[str, Standing] | None


async def states_of(resources: Resources, deployments: Iterable[Deployment]) -> States:
    """Read how deployments are doing; what cannot be read is unknown."""
    lanes = [
        lane_of(Target(deployment, key)) for deployment in deployments for key in deployment.keys
    ]
    rooms = await Rooms(resources.redis).of(lanes)
    try:
        breakers = await read_standings(resources.redis)
    except (RedisError, OSError) as error:
        log.warning("admin.breakers_unknown", error=str(error))
        return States(rooms, None)
    return States(rooms, breakers)


def deployment_view(deployment: Deployment, states: States, resources: Resources) -> Json:
    """Return a deployment with its state; of its keys only hints."""
    price, health = deployment.price, deployment.health
    can = deployment.capabilities
    stored = _times(resources.watch.stored.deployments, deployment.name)
    return {
        "object": "deployment",
        "name": deployment.name,
        "provider": deployment.provider,
        "model": deployment.model,
        "base_url": deployment.base_url,
        "keys": [_key(Target(deployment, key), states) for key in deployment.keys],
        "headers": {name: hint(value) for name, value in deployment.headers.items()},
        "region": deployment.region,
        "rpm": deployment.rpm,
        "tpm": deployment.tpm,
        "concurrency": deployment.concurrency,
        "timeout_s": deployment.timeout_s,
        "price": price
        and {
            "input_usd": price.input_usd,
            "output_usd": price.output_usd,
            "cached_usd": price.cached_usd,
        },
        "context_tokens": deployment.context_tokens,
        "max_output_tokens": deployment.max_output_tokens,
        "vision": deployment.vision,
        "capabilities": None if can is None else sorted(can),
        "weight": deployment.weight,
        "health": health and {"every_s": health.every_s, "path": health.path},
        "options": deployment.options,
        "breaker": _breaker(deployment, states),
        **(_FILE if deployment.name in resources.watch.file.deployments else stored),
    }


def route_view(route: Route, resources: Resources) -> Json:
    """Return a route."""
    rule, breaker = route.difficulty, route.breaker
    tiers = {tier: [each.name for each in some] for tier, some in route.tiers.items()}
    stored = _times(resources.watch.stored.routes, route.model)
    return {
        "object": "route",
        "model": route.model,
        "strategy": route.strategy,
        "deployments": [each.name for each in route.deployments],
        "weights": route.weights,
        "tiers": tiers,
        "difficulty": rule
        and {
            "simple": rule.simple,
            "hard": rule.hard,
            "max_chars": rule.max_chars,
            "hard_words": rule.hard_words,
            "classifier": rule.classifier,
        },
        "fallback_on": sorted(route.fallback_on),
        "first_token_s": route.first_token_s,
        "on_slow": route.on_slow,
        "default_answer": route.default_answer,
        "max_attempts": route.max_attempts,
        "breaker": {
            "failure_rate": breaker.failure_rate,
            "window_s": breaker.window_s,
            "min_calls": breaker.min_calls,
            "cool_down_s": breaker.cool_down_s,
        },
        **(_FILE if route.model in resources.watch.file.routes else stored),
    }


def _times(rows: Iterable[Any], name: str) -> Json:
    row = next((each for each in rows if each["name"] == name), None)
    if row is None:
        return _FILE
    times = {each: rfc3339(row[each]) for each in ("created_at", "updated_at")}
    return {"source": "api", **times}


def _key(target: Target, states: States) -> Json:
    room = states.rooms.get(target.lane_key)
    paused = room is not None and room.state != OPEN
    return {
        "hint": hint(target.api_key),
        "lane": target.lane_key,
        "under_way": None if room is None else room.under_way,
        "limit": None if room is None else room.limit,
        "paused_s": room.pause_ms / 1000 if room is not None and paused else None,
    }


def _breaker(deployment: Deployment, states: States) -> Json:
    if states.breakers is None:
        return {"state": UNKNOWN, "opened": None, "probe_in_s": None}
    standing, now = states.breakers.get(deployment.name), monotonic()
    if standing is None:
        return {"state": BreakerState.CLOSED, "opened": 0, "probe_in_s": None}
    probe_in_s = round(standing.shut_s(now), 3)
    return {"state": standing.state(now), "opened": standing.trips, "probe_in_s": probe_in_s}


_FILE: Json = {"source": "file", "created_at": None, "updated_at": None}
