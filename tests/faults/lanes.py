"""What Redis holds of a model's limits, read past all of Penstock's code."""

from tests.faults.deployments import BY_NAME
from tests.faults.service import Service

MICRO = 1_000_000
Level = tuple[int, float]


def leases(service: Service, model: str) -> int:
    """Return how many calls the limiter believes to be under way."""
    key = _key(service, model, "leases")
    with service.redis_client() as client:
        return int(client.zcard(key))


def slots_taken(service: Service, model: str) -> int:
    """Return how many calls hold a slot: leases that ran out count no more."""
    key = _key(service, model, "leases")
    with service.redis_client() as client:
        seconds, micros = client.time()
        return int(client.zcount(key, f"({seconds * MICRO + micros}", "+inf"))


def forget(service: Service, model: str) -> None:
    """Let the lane's buckets begin anew."""
    key = _key(service, model, "lane")
    with service.redis_client() as client:
        client.delete(key)


def calls_allowed(service: Service, model: str) -> int:
    """Return how many calls at a time the limiter allows now, as its provider's refusals taught it."""
    key = _key(service, model, "lane")
    with service.redis_client() as client:
        lowered = client.hget(key, "limit")
    return int(lowered or BY_NAME[model].concurrency)


def tokens(service: Service, model: str) -> Level:
    """Return the lane's clock in microseconds and its level in tokens."""
    key = _key(service, model, "lane")
    with service.redis_client() as client:
        fields = client.hgetall(key)
    (level,) = (v for k, v in fields.items() if k.startswith(b"tokens") and b"carry" not in k)
    return int(fields[b"clock"]), int(level) / MICRO


def spent(service: Service, model: str, *, since: Level) -> float:
    """Return how many tokens were taken since then and not given back."""
    clock, level = tokens(service, model)
    tpm = BY_NAME[model].tpm
    assert tpm
    refilled = (clock - since[0]) * tpm / 60 / MICRO
    return since[1] + refilled - level


def _key(service: Service, model: str, name: str) -> str:
    with service.redis_client() as client:
        keys = [key.decode() for key in client.keys(f"*{model}:*:{name}")]
    return keys[0] if keys else "absent"
