"""The pulse as Prometheus gauges: what is counted in the database when somebody asks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from shared.errors import NotFound
from shared.jobs.pulse import Reading
from shared.jobs.pulse_store import Depth
from shared.jobs.transitions import Priority
from shared.routing.breaker_states import BreakerState, Standing
from shared.routing.catalog import Catalog
from shared.telemetry.labels import deployment_label

Key = tuple[str, ...]
BREAKER_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


class _Fixed(Collector):
    """A collector of what was collected already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    @override
    def collect(self) -> Iterable[Metric]:
        return self._metrics


def registry_of(metrics: Sequence[Metric]) -> CollectorRegistry:
    """Return a registry that shows these metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(metrics))
    return registry


def gauges(reading: Reading | None, catalog: Catalog) -> Iterator[Metric]:
    """Return the gauges; without a reading (the database is out of reach) only that it is."""
    yield _gauge("penstock_database_up", "Whether the database answers", float(reading is not None))
    if reading is None:
        return
    yield from _queue(reading.depths, catalog)
    crew, running = reading.crew, reading.running
    yield _gauge("penstock_scheduled_jobs", "Jobs whose time has not come", reading.scheduled)
    yield _gauge("penstock_running_jobs", "Jobs in workers' hands", running.jobs)
    yield _gauge("penstock_overdue_leases", "Running jobs whose lease is over", running.overdue)
    valid = not catalog.status.problems
    text = "Whether deployments and routes are those of the newest configuration"
    yield _gauge("penstock_config_valid", text, float(valid))
    yield _gauge("penstock_leader_present", "Whether a scheduler leads", float(reading.leader))
    yield _gauge(
        "penstock_outbox_messages", "Wake-ups not known to be sent", reading.outbox.messages
    )
    age_s = reading.outbox.oldest_ms / 1000
    yield _gauge("penstock_outbox_oldest_seconds", "Age of the oldest of them", age_s)
    workers = GaugeMetricFamily("penstock_workers", "Workers seen lately", labels=["state"])
    for state in ("consuming", "silent", "draining"):
        workers.add_metric([state], getattr(crew, state))
    yield workers
    yield _gauge("penstock_in_flight_jobs", "Jobs in hand, as the workers say", crew.in_flight)


def breaker_gauge(standings: Mapping[str, Standing] | None, catalog: Catalog) -> Iterator[Metric]:
    """Return the state of each configured deployment's breaker; none where Redis does not tell."""
    if standings is None:
        return
    text = "Whether a deployment is left alone: 0 closed, 1 half open, 2 open"
    family = GaugeMetricFamily("penstock_breaker_state", text, labels=["deployment"])
    at = monotonic()
    for name in sorted({each.deployment.name for each in catalog.lanes().values()}):
        standing = standings.get(name)
        family.add_metric([name], 0 if standing is None else BREAKER_VALUES[standing.state(at)])
    yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _queue(depths: Sequence[Depth], catalog: Catalog) -> Iterator[Metric]:
    names = {each.model: _model_label(each.model, catalog) for each in depths}
    known = catalog.lanes().keys()

    def queue(each: Depth) -> Key:
        status = "waiting" if each.waits else "queued"
        return (Priority.of_rank(each.priority), names[each.model], status)

    def lane(each: Depth) -> Key:
        key = each.lane if each.lane in known else names[each.model]
        return (key or "", each.reason or "")

    waiting = [each for each in depths if each.waits]
    labels = ["priority", "model", "status"]
    yield _sum("penstock_queue_jobs", "Jobs that wait to be run", labels, depths, queue)
    yield _oldest("penstock_queue_oldest_seconds", "Age of the oldest", labels, depths, queue)
    labels = ["lane", "reason"]
    yield _sum("penstock_lane_waiting_jobs", "Jobs waiting for a lane", labels, waiting, lane)
    yield _oldest(
        "penstock_lane_oldest_seconds", "Age of the oldest of them", labels, waiting, lane
    )


def _sum(
    name: str, text: str, labels: list[str], depths: Sequence[Depth], key: Callable[[Depth], Key]
) -> Metric:
    sums: dict[Key, int] = defaultdict(int)
    for each in depths:
        sums[key(each)] += each.jobs
    return _family(name, text, labels, sums.items())


def _oldest(
    name: str, text: str, labels: list[str], depths: Sequence[Depth], key: Callable[[Depth], Key]
) -> Metric:
    ages: dict[Key, float] = defaultdict(float)
    for each in depths:
        ages[key(each)] = max(ages[key(each)], each.oldest_ms / 1000)
    return _family(name, text, labels, ages.items())


def _family(name: str, text: str, labels: list[str], rows: Iterable[tuple[Key, float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in rows:
        family.add_metric(key, value)
    return family


def _model_label(model: str, catalog: Catalog) -> str:
    """Return the name of a configured route, `openai/*` for what a client named by its vendor."""
    try:
        route = catalog.resolve(model)
    except NotFound:
        return "not configured"
    if len(route.deployments) == 1 and route.deployments[0].name == model:
        return deployment_label(route.deployments[0])
    return route.model
