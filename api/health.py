"""`/healthz`: alive. `/readyz`: consuming. `/metrics`: numbers for Prometheus. None asks for a key."""

import asyncio
from collections.abc import Mapping

import orjson
import structlog
from prometheus_client.exposition import choose_encoder
from redis.exceptions import RedisError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.gauges import breaker_gauge, gauges, registry_of
from shared.database import is_unavailable
from shared.jobs.pulse import Pulse, Reading
from shared.resources import Resources
from shared.routing.breaker_states import Standing, read_standings
from shared.telemetry.totals import totals

OK, NOT_READY = 200, 503
PATIENCE_S = 2.0
log = structlog.get_logger()


async def alive(_request: Request) -> Response:
    """Answer that the event loop turns; nothing else is asked, so that no outage restarts us."""
    return _answer({"status": "alive"}, OK)


async def ready(request: Request) -> Response:
    """Answer 200 while jobs are stored and performed, else 503 with what is wrong."""
    report = await request.state.readiness.report()
    body = {
        "status": "ready" if report.consuming else "not_ready",
        "accepting": report.accepting,
        "consuming": report.consuming,
        "problems": [{"part": each.part, "detail": each.detail} for each in report.problems],
    }
    return _answer(body, OK if report.consuming else NOT_READY)


async def metrics(request: Request) -> Response:
    """Return the counters of all processes that share the data folder, and the pulse."""
    resources: Resources = request.state.resources
    folder = resources.settings.data_dir / "metrics"
    counted = await asyncio.to_thread(totals, folder)
    reading = await _reading(request.state.pulse)
    breakers = breaker_gauge(await _standings(resources), resources.catalog)
    registry = registry_of([*counted, *gauges(reading, resources.catalog), *breakers])
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": content_type})


async def _reading(pulse: Pulse) -> Reading | None:
    try:
        return await pulse.read()
    except Exception as error:
        if not is_unavailable(error):
            raise
        log.warning("metrics.database_unavailable", error=str(error)[:500])
        return None


async def _standings(resources: Resources) -> Mapping[str, Standing] | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await read_standings(resources.redis)
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("metrics.redis_unavailable", error=str(error)[:500])
        return None


def _answer(value: object, status: int) -> Response:
    return Response(orjson.dumps(value), status, {"Cache-Control": "no-store"}, "application/json")


routes = [
    Route("/healthz", alive, methods=["GET"]),
    Route("/readyz", ready, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
]
