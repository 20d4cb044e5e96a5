"""What a worker counts of webhooks. Labels have few values: never a tenant, an endpoint or a URL."""

from collections.abc import Sequence

from prometheus_client import Counter, Histogram

TRY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15)
LAG_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200, 172_800)


def _counter(name: str, text: str, *labels: str) -> Counter:
    # No registry: what is served is read from the files of all processes.
    return Counter(name, text, labels, registry=None)


def _histogram(name: str, text: str, *, buckets: Sequence[float]) -> Histogram:
    return Histogram(name, text, registry=None, buckets=buckets)


class WebhookMetrics:
    """What a worker counts of deliveries and their tries."""

    def __init__(self) -> None:
        self._tries = _counter(
            "penstock_webhook_tries", "Requests to webhook receivers, by outcome", "outcome"
        )
        self._seconds = _histogram(
            "penstock_webhook_try_seconds",
            "Duration of requests to webhook receivers",
            buckets=TRY_BUCKETS_S,
        )
        self._deliveries = _counter(
            "penstock_webhook_deliveries", "Deliveries that ended, by their state", "state"
        )
        self._lag = _histogram(
            "penstock_webhook_lag_seconds",
            "Time from an event to its delivery",
            buckets=LAG_BUCKETS_S,
        )
        self._lost = _counter(
            "penstock_webhook_claims_lost",
            "Tries that were not recorded: the delivery was another's by then",
        )
        self._disabled = _counter(
            "penstock_webhook_endpoints_disabled", "Endpoints not sent to any more", "reason"
        )

    def tried(self, outcome: str, *, seconds: float) -> None:
        """Count a request; `outcome` is what it means, or why there was no answer."""
        self._tries.labels(outcome).inc()
        self._seconds.observe(seconds)

    def delivered(self, *, lag_s: float) -> None:
        """Count a delivery that arrived, so long after its event."""
        self._deliveries.labels("delivered").inc()
        self._lag.observe(max(0.0, lag_s))

    def failed(self) -> None:
        """Count a delivery that has had its last try."""
        self._deliveries.labels("failed").inc()

    def skipped(self, deliveries: int) -> None:
        """Count deliveries whose endpoint listens no more."""
        self._deliveries.labels("skipped").inc(deliveries)

    def lost(self) -> None:
        """Count a try that was not recorded."""
        self._lost.inc()

    def disabled(self, reason: str) -> None:
        """Count an endpoint that is not sent to any more."""
        self._disabled.labels(reason).inc()
