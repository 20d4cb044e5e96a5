"""What Redis holds of the breakers, read past all of Penstock's code."""

from tests.faults.service import Service

STATES = "{breaker}:states"


def open_ones(service: Service) -> set[str]:
    """Return the deployments that are left alone now."""
    with service.redis_client() as client:
        return {name.decode() for name in client.hgetall(STATES)}


def forget(service: Service) -> None:
    """Let all begin anew, closed, and no key of the pool be paused."""
    with service.redis_client() as client:
        for key in [*client.keys("{breaker}:*"), *client.keys("{rl:pooled:*")]:
            client.delete(key)
