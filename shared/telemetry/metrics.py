"""What the processes count for Prometheus."""

from collections.abc import Iterable

from prometheus_client import Counter

from shared.jobs.claims import ClaimEnd
from shared.jobs.timer_store import Verdict

ATTEMPTS = Counter("penstock_attempts", "Calls to providers, by outcome", ["deployment", "status"])
JOBS = Counter("penstock_jobs_left", "Jobs that left a worker, by state", ["state", "reason"])
RECLAIMED = Counter("penstock_leases_reclaimed", "Jobs taken from workers that are gone", ["state"])


class WorkerMetrics:
    """What a worker counts."""

    def job_left(self, end: ClaimEnd, *, kept: bool) -> None:
        """Count how a job left the worker's hands, and its calls."""
        state = end.state if kept else "lost"
        JOBS.labels(state, end.reason or "").inc()
        for attempt in end.attempts:
            ATTEMPTS.labels(end.lane or "", attempt.status).inc()


class SchedulerMetrics:
    """What the scheduler counts."""

    def reclaimed(self, verdicts: Iterable[Verdict]) -> None:
        """Count leases taken from workers that are gone."""
        for verdict in verdicts:
            RECLAIMED.labels(verdict.state).inc()
