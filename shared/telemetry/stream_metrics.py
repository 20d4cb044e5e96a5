"""What is counted of event streams."""

from prometheus_client import Counter, Gauge


def _counter(name: str, text: str, *labels: str) -> Counter:
    # No registry: what is served is read from the files of all processes.
    return Counter(name, text, labels, registry=None)


class StreamMetrics:
    """What the API counts of those who follow jobs."""

    def __init__(self) -> None:
        self._clients = Gauge(
            "penstock_sse_clients",
            "Clients that follow a job's events",
            registry=None,
            multiprocess_mode="livesum",
        )
        self._events = _counter("penstock_sse_events", "Events sent to followers of jobs", "type")
        self._slow = _counter(
            "penstock_sse_slow_readers", "Followers cut off: they did not take what was sent"
        )

    def came(self) -> None:
        """Count one more client."""
        self._clients.inc()

    def went(self, *, slow: bool) -> None:
        """Count one less; `slow` says that it was cut off."""
        self._clients.dec()
        if slow:
            self._slow.inc()

    def sent(self, name: str, events: int) -> None:
        """Count events of one name."""
        self._events.labels(name).inc(events)
