"""How the ways to call a model are doing, as a process knows it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How a target is doing, as far as this process knows.

    `limit` 0: what the deployment's `concurrency` says. Latencies are decayed means in
    milliseconds, None before the first call; `errors` is the share of late calls that failed.
    `limited`: its key is out of room or was refused. `open`: its deployment is left alone.
    """

    under_way: int = 0
    limit: int = 0
    first_token_ms: float | None = None
    total_ms: float | None = None
    errors: float = 0.0
    limited: bool = False
    open: bool = False


IDLE = Load()
Loads = Mapping[str, Load]
"""Loads by lane key; what is absent is idle."""
