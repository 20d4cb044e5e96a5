"""What the processes count for Prometheus. Labels have few values: never a tenant, a job or free text."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from prometheus_client import Counter, Histogram

from shared.clock import now_ms
from shared.telemetry.labels import Named, deployment_label, method_label

QUEUED = "queued"
PRIORITIES = ("interactive", "standard", "bulk")
WAIT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200)
TOKEN_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 15, 30, 60)
CALL_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)
HTTP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


Metric = TypeVar("Metric")


class Claimed(Protocol):
    """A job that was just claimed; times are milliseconds since the epoch."""

    @property
    def priority(self) -> int:
        """Its rank: 0 goes first."""
        ...

    @property
    def claim_number(self) -> int:
        """How often it was claimed."""
        ...

    @property
    def created_at(self) -> int:
        """When it was stored."""
        ...

    @property
    def scheduled_at(self) -> int | None:
        """Before when it was not to begin."""
        ...


class Left(Protocol):
    """How a job leaves a worker's hands: an end, or back to the queue."""

    @property
    def state(self) -> str:
        """The state it goes to."""
        ...

    @property
    def reason(self) -> str | None:
        """Why."""
        ...


class Called(Protocol):
    """What became of a call."""

    @property
    def status(self) -> str:
        """One of the attempt's statuses."""
        ...

    @property
    def total_ms(self) -> int | None:
        """How long it took, None if nothing was sent."""
        ...

    @property
    def first_token_ms(self) -> int | None:
        """How long a stream took to its first token, None if there was none."""
        ...


def _counter(name: str, text: str, *labels: str) -> Counter:
    # No registry: what is served is read from the files of all processes.
    return Counter(name, text, labels, registry=None)


def _histogram(name: str, text: str, *labels: str, buckets: Sequence[float]) -> Histogram:
    return Histogram(name, text, labels, registry=None, buckets=buckets)


def _ended_counter() -> Counter:
    return _counter("penstock_jobs_ended", "Jobs that reached a final state", "state", "reason")


class _Children(Generic[Metric]):
    """A metric's children by their labels: to look one up in the metric takes as long as to count."""

    def __init__(self, make: Callable[..., Metric]) -> None:
        self._make = make
        self._known: dict[tuple[str, ...], Metric] = {}

    def of(self, *labels: str) -> Metric:
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._make(*labels)
        return child


class WorkerMetrics:
    """What a worker counts."""

    def __init__(self) -> None:
        self._claims = _Children(
            _counter(
                "penstock_claims", "Jobs that a worker asked for in its claims", "outcome"
            ).labels
        )
        self._slices = _histogram(
            "penstock_claim_jobs", "Jobs that one claim won", buckets=GROUP_BUCKETS
        )
        self._groups = _histogram(
            "penstock_journal_entries", "Entries that one transaction wrote", buckets=GROUP_BUCKETS
        )
        self._waits = _Children(
            _histogram(
                "penstock_queue_wait_seconds",
                "Time from a job's submit or scheduled time to its first claim",
                "priority",
                buckets=WAIT_BUCKETS_S,
            ).labels
        )
        self._denials = _counter(
            "penstock_limiter_denials",
            "Calls that the limiter did not admit, by what was short",
            "deployment",
            "bucket",
        )
        self._attempts = _Children(
            _counter(
                "penstock_attempts", "Calls to providers, by outcome", "deployment", "status"
            ).labels
        )
        self._calls = _Children(
            _histogram(
                "penstock_call_seconds", "Duration of calls", "deployment", buckets=CALL_BUCKETS_S
            ).labels
        )
        self._first_tokens = _Children(
            _histogram(
                "penstock_first_token_seconds",
                "Time to the first token of streams",
                "deployment",
                buckets=TOKEN_BUCKETS_S,
            ).labels
        )
        self._fallbacks = _counter(
            "penstock_fallbacks",
            "Calls that went on to another key or deployment, by the one that they left",
            "deployment",
            "failure",
        )
        self._breakers = _counter(
            "penstock_breaker_changes",
            "Times that a deployment's breaker opened or closed",
            "deployment",
            "state",
        )
        self._ended = _Children(_ended_counter().labels)
        self._requeued = _counter(
            "penstock_jobs_requeued", "Jobs that went back to the queue to wait", "reason"
        )
        self._lost = _counter(
            "penstock_claims_lost", "Ends that were not written: the job was another's by then"
        )

    def claimed(self, jobs: Sequence[Claimed], *, asked: int) -> None:
        """Count a claim that asked for `asked` jobs and won these."""
        self._slices.observe(len(jobs))
        self._claims.of("won").inc(len(jobs))
        if missed := asked - len(jobs):
            self._claims.of("missed").inc(missed)
        now = now_ms()
        for job in jobs:
            if job.claim_number == 1:
                begin = max(job.created_at, job.scheduled_at or 0)
                wait = self._waits.of(PRIORITIES[job.priority])
                wait.observe(max(0, now - begin) / 1000)

    def denied(self, deployment: Named, bucket: str) -> None:
        """Count a call that the limiter did not admit."""
        self._denials.labels(deployment_label(deployment), bucket).inc()

    def called(self, deployment: Named, attempts: Iterable[Called]) -> None:
        """Count calls that ended, however they ended."""
        name = deployment_label(deployment)
        for attempt in attempts:
            self._attempts.of(name, attempt.status).inc()
            if attempt.total_ms is not None:
                self._calls.of(name).observe(attempt.total_ms / 1000)
            if attempt.first_token_ms is not None:
                self._first_tokens.of(name).observe(attempt.first_token_ms / 1000)

    def fell_back(self, deployment: Named, failure: str) -> None:
        """Count a call that left a deployment for another."""
        self._fallbacks.labels(deployment_label(deployment), failure).inc()

    def breaker_changed(self, deployment: str, state: str) -> None:
        """Count a breaker that this process opened or closed; `deployment` is its label."""
        self._breakers.labels(deployment, state).inc()

    def written(self, entries: int) -> None:
        """Count a transaction of the journal."""
        self._groups.observe(entries)

    def job_left(self, end: Left, *, kept: bool) -> None:
        """Count how a job left the worker's hands; `kept` is False when it was no longer its own."""
        if not kept:
            self._lost.inc()
        elif end.state == QUEUED:
            self._requeued.labels(end.reason or "").inc()
        else:
            self._ended.of(end.state, end.reason or "").inc()


class SchedulerMetrics:
    """What the scheduler counts."""

    def __init__(self) -> None:
        self._reclaimed = _counter(
            "penstock_leases_reclaimed", "Jobs taken from workers that are gone", "state"
        )
        self._relayed = _counter(
            "penstock_outbox_relayed", "Wake-ups that were sent late, by the scheduler"
        )
        self._woken = _counter(
            "penstock_jobs_woken_again", "Ready jobs whose wake-up was lost", "priority"
        )
        self._ended = _ended_counter()

    def reclaimed(self, verdicts: Iterable[Left]) -> None:
        """Count leases taken from workers that are gone."""
        for verdict in verdicts:
            self._reclaimed.labels(verdict.state).inc()
            if verdict.state != QUEUED:
                self._ended.labels(verdict.state, verdict.reason or "").inc()

    def expired(self, jobs: int) -> None:
        """Count jobs that waited past their deadline."""
        self._ended.labels("expired", "deadline").inc(jobs)

    def cancelled(self, jobs: int) -> None:
        """Count lines of cancelled batches that were never begun."""
        self._ended.labels("cancelled", "cancelled").inc(jobs)

    def relayed(self, wakeups: int) -> None:
        """Count wake-ups that their sender had promised and not sent."""
        self._relayed.inc(wakeups)

    def woken_again(self, priority: str, jobs: int) -> None:
        """Count ready jobs that had to be woken again."""
        self._woken.labels(priority).inc(jobs)


class ApiMetrics:
    """What the API counts."""

    def __init__(self) -> None:
        self._requests = _counter(
            "penstock_http_requests", "Requests answered", "method", "route", "status"
        )
        self._seconds = _histogram(
            "penstock_http_request_seconds",
            "Time to the end of the answer; a long poll's waiting is part of it",
            "method",
            "route",
            buckets=HTTP_BUCKETS_S,
        )
        self._ended = _ended_counter()

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is the path's template, None when no path fitted."""
        method, route = method_label(method), route or "none"
        self._requests.labels(method, route, status or 499).inc()
        self._seconds.labels(method, route).observe(seconds)

    def cancelled(self) -> None:
        """Count a job that was cancelled while it waited."""
        self._ended.labels("cancelled", "cancelled").inc()
