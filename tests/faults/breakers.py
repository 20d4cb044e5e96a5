"""What Redis holds of the breakers, read past all of Penstock's code."""

import time

from tests.faults.polling import until
from tests.faults.service import Service

STATES = "{breaker}:states"
ON_THEIR_WAY_S = 0.4
"""Calls that were let through before a breaker opened have arrived by then."""


def open_ones(service: Service) -> set[str]:
    """Return the deployments that are left alone now."""
    with service.redis_client() as client:
        return {name.decode() for name in client.hgetall(STATES)}


def await_open(service: Service, deployment: str) -> int:
    """Wait until a deployment is left alone; return how many calls it has had by then."""
    until(lambda: deployment in open_ones(service), f"the breaker of {deployment} is open")
    sent, seen = calls(service, deployment), -1
    while sent != seen:
        time.sleep(ON_THEIR_WAY_S)
        sent, seen = calls(service, deployment), sent
    return sent


def calls(service: Service, deployment: str) -> int:
    """Return how many calls a deployment has had."""
    return len(service.upstream.calls(model=deployment))


def forget(service: Service) -> None:
    """Let all begin anew, closed, and no key of the pool be paused."""
    with service.redis_client() as client:
        for key in [*client.keys("{breaker}:*"), *client.keys("{rl:pooled:*")]:
            client.delete(key)
