"""I6: what the provider's ledger says of the limits that it was promised."""

from collections.abc import Iterator, Sequence

from tests.fakes.upstream_client import Upstream
from tests.faults.deployments import ALL, Deployment
from tests.faults.sql import Row

BUNCHING_S = 1.0
"""Calls that were let go one after the other may arrive together: by as much as the road takes."""
CLOSED_MS = 100
"""How much later than we the provider may notice that we closed a connection."""


def violations(upstream: Upstream) -> Iterator[str]:
    """Check rates and concurrency of every model over the whole life of the service."""
    calls = upstream.calls()
    for deployment in ALL:
        mine = [call for call in calls if call["model"] == deployment.name]
        if deployment.rpm:
            yield from _too_fast(deployment, mine)
        most = most_at_once(mine)
        if most > deployment.concurrency * len(deployment.keys):
            yield f"I6 {deployment.name}: {most} calls at once, {deployment.concurrency} are allowed"


def most_at_once(calls: Sequence[Row]) -> int:
    """Return how many of these calls were under way at the same time."""
    steps = []
    for call in calls:
        steps.append((call["at"], 1))
        if "ended_at" in call:
            early = CLOSED_MS if call["client_gone"] else 0
            steps.append((max(call["at"], call["ended_at"] - early), -1))
    now = most = 0
    for _, step in sorted(steps):
        now += step
        most = max(most, now)
    return most


def _too_fast(deployment: Deployment, calls: Sequence[Row]) -> Iterator[str]:
    assert deployment.rpm
    rate = deployment.rpm / 60
    times = sorted(call["at"] / 1000 for call in calls)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            window = times[last] - start + BUNCHING_S
            if last - first + 1 > deployment.burst + rate * window:
                yield f"I6 {deployment.name}: {last - first + 1} calls within {window:.1f} s"
                return
