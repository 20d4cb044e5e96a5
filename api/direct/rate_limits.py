"""How much of the model's limits is left, read while the job runs, in the caller's headers."""

import asyncio
from collections.abc import Sequence

from api.surfaces import Surface
from shared.clock import now_ms, rfc3339
from shared.errors import NotFound
from shared.jobs.lanes import lane_of
from shared.limiter.levels import Level, Levels
from shared.routing.catalog import Catalog
from shared.routing.model import Target

SHOWN = {"requests": "requests", "tokens": "tokens"}
ANTHROPICS = {**SHOWN, "input_tokens": "input-tokens", "output_tokens": "output-tokens"}
MINUTE_S, HOUR_S = 60, 3600


class Limits:
    """The levels of the lane that a job's calls take first, asked for at once and used if there.

    None are told of a lane that is gone.
    """

    def __init__(
        self, levels: Levels, catalog: Catalog, model: str, lane_key: str | None = None
    ) -> None:
        self._task: asyncio.Task[Sequence[Level]] | None = None
        target = _target(catalog, model, lane_key)
        lane = None if target is None else lane_of(target)
        if lane is not None and lane.buckets:
            self._task = asyncio.create_task(levels.of(lane), name="limits")

    def headers(self, surface: Surface) -> dict[str, str]:
        """Return the headers of a surface; none where there is no limit, or Redis did not tell in time."""
        if self._task is None:
            return {}
        if not self._task.done():
            self._task.cancel()
            return {}
        if self._task.cancelled():
            return {}
        levels = self._task.result()
        if surface is Surface.ANTHROPIC:
            return anthropic_headers(levels, now_ms())
        return limit_headers(levels)


def anthropic_headers(levels: Sequence[Level], now: int) -> dict[str, str]:
    """Spell levels as Anthropic does: a reset is a moment; `now` is in milliseconds."""
    headers = {}
    for level in levels:
        name = ANTHROPICS.get(level.unit)
        if name is not None:
            reset = rfc3339(now + round(level.full_in_s * 1000))
            headers[f"anthropic-ratelimit-{name}-limit"] = str(level.per_minute)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(level.remaining)
            headers[f"anthropic-ratelimit-{name}-reset"] = str(reset)
    return headers


def _target(catalog: Catalog, model: str, lane_key: str | None) -> Target | None:
    if lane_key is not None:
        return catalog.target_of(model, lane_key)
    try:
        return catalog.resolve(model).targets[0]
    except NotFound:
        return None


def limit_headers(levels: Sequence[Level]) -> dict[str, str]:
    """Spell levels as OpenAI does."""
    headers = {}
    for level in levels:
        name = SHOWN.get(level.unit)
        if name is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(level.per_minute)
            headers[f"x-ratelimit-remaining-{name}"] = str(level.remaining)
            headers[f"x-ratelimit-reset-{name}"] = go_duration(level.full_in_s)
    return headers


def go_duration(seconds: float) -> str:
    """Spell a duration as Go does, to the millisecond: `6m0s`, `1.5s`, `12ms`, `0s`."""
    ms = round(seconds * 1000)
    if 0 < ms < 1000:  # noqa: PLR2004
        return f"{ms}ms"
    whole, rest_ms = divmod(ms, 1000)
    hours, minutes, left = whole // HOUR_S, whole % HOUR_S // MINUTE_S, whole % MINUTE_S
    fraction = f".{rest_ms:03d}".rstrip("0") if rest_ms else ""
    text = f"{left}{fraction}s"
    if whole >= MINUTE_S:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text
