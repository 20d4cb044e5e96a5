"""The parts of the bench: what each runs, how often, and what it says of its target."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from bench import (
    big_upload,
    bulk_parts,
    drains,
    fairness,
    in_flight,
    jobs,
    long_poll,
    rescue,
    returns,
    routing,
    storm_parts,
    submit,
    translate,
)
from bench.in_flight import Flight
from bench.jobs import Contender
from bench.report import Row, Section
from bench.upstreams import Upstream

MOST_CPU_MS = 2.0
TIMES_THE_SCRIPT = 5
LEAST_IN_FLIGHT = 2000
LEAST_PACE = 0.9
MOST_MB = 400
RESCUED_WITHIN_S = {"default": 90, "of the tests": 5}
SCRIPT_AT_ONCE = 1000
MOST_DECISION_US = 100


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured: every figure of *jobs* is the median of `repeat` runs."""

    jobs: int
    repeat: int
    lines: int = 50_000


def measure_jobs(upstream: Upstream, options: Options) -> Section:
    """Penstock and the scripts, in turn, on the same upstream without latency."""
    runs: dict[str, list[Contender]] = {}
    for _ in range(options.repeat):
        for each in _contenders(upstream, options):
            runs.setdefault(each.name, []).append(each)
    medians = {name: jobs.median(some) for name, some in runs.items()}
    script = next(each for name, each in medians.items() if "httpx" in name)
    rows = [row for each in medians.values() for row in _job_rows(each, script)]
    raw = [asdict(each) for some in runs.values() for each in some]
    title = f"jobs: {options.jobs} jobs, upstream 0 ms, {SCRIPT_AT_ONCE} at a time"
    return Section(title, rows, raw)


def _contenders(upstream: Upstream, options: Options) -> Iterator[Contender]:
    for client in ("httpx", "aiohttp"):
        yield jobs.script(upstream, client, jobs=options.jobs, at_once=SCRIPT_AT_ONCE, delay_ms=0)
    for fetch in jobs.FETCHES:
        yield jobs.penstock(upstream, jobs=options.jobs, at_once=SCRIPT_AT_ONCE, fetch=fetch)


def _job_rows(each: Contender, script: Contender) -> Iterator[Row]:
    pace = f"{each.per_second:,.0f} jobs/s, {each.cpu_ms:.2f} ms CPU"
    if not each.parts:
        note = "" if each.jobs >= script.jobs else f"cut off after {each.jobs} jobs"
        yield Row(each.name, pace, note=note)
        return
    times = each.per_second / script.per_second
    cpu = f"≤ {MOST_CPU_MS:g} ms CPU a job"
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in each.parts.items())
    yield Row(each.name, pace, cpu, each.cpu_ms <= MOST_CPU_MS, f"CPU ms: {parts}")
    target = f"≥ {TIMES_THE_SCRIPT} × the httpx script"
    peaks = ", ".join(f"{name} {mb:.0f}" for name, mb in each.rss_mb.items())
    yield Row("", f"{times:.1f} ×", target, times >= TIMES_THE_SCRIPT, f"peak MB: {peaks}")


def measure_in_flight(upstream: Upstream, options: Options) -> Section:
    """How many calls one worker holds, and how near it comes to the pace of a limit of 1,000."""
    wide = in_flight.measure(upstream, jobs=options.jobs, concurrency=in_flight.WIDE)
    narrow = in_flight.measure(upstream, jobs=options.jobs, concurrency=in_flight.NARROW)
    script = jobs.script(
        upstream,
        "aiohttp",
        jobs=options.jobs,
        at_once=in_flight.NARROW,
        delay_ms=in_flight.DELAY_MS,
    )
    slow = jobs.script(
        upstream, "httpx", jobs=options.jobs, at_once=SCRIPT_AT_ONCE, delay_ms=in_flight.DELAY_MS
    )
    ideal = in_flight.NARROW * 1000 / in_flight.DELAY_MS
    rows = [
        *_wide_rows(wide),
        Row(
            f"pace, at most {narrow.concurrency:,} calls",
            f"{narrow.pace:.0%} of the ideal",
            f"≥ {LEAST_PACE:.0%}",
            narrow.pace >= LEAST_PACE,
            f"{narrow.jobs / narrow.seconds:,.0f} calls/s",
        ),
        Row(script.name, f"{script.per_second / ideal:.0%} of the ideal"),
        Row(slow.name, f"{slow.per_second / ideal:.0%} of the ideal"),
    ]
    raw = [asdict(each) for each in (wide, narrow, script, slow)]
    return Section(f"in flight: {options.jobs} jobs, upstream 1 s, one worker", rows, raw)


def _wide_rows(wide: Flight) -> Iterator[Row]:
    met = wide.most >= LEAST_IN_FLIGHT
    note = f"the limit was {wide.concurrency:,}"
    yield Row("most calls in flight", f"{wide.most:,}", f"≥ {LEAST_IN_FLIGHT:,}", met, note)
    size = f"{wide.worker_mb:.0f} MB"
    yield Row("worker's peak memory", size, f"< {MOST_MB} MB", wide.worker_mb < MOST_MB)


def measure_submit(upstream: Upstream, _options: Options) -> Section:
    """Single submits, without a worker beside them."""
    found = submit.measure(upstream)
    rows = [
        Row(
            f"{each.at_once} at a time",
            f"{each.per_second:,.0f}/s",
            note=f"p50 {each.p50_ms:.2f} ms, p99 {each.p99_ms:.2f} ms; {each.cpu_ms:.2f} ms CPU each",
        )
        for each in found
    ]
    return Section("submit: POST /v1/jobs until the 202", rows, [asdict(each) for each in found])


def measure_long_poll(upstream: Upstream, _options: Options) -> Section:
    """Delay from the end of a job to the answer of who waits for it."""
    found = long_poll.measure(upstream)
    rows = [
        Row(f"{each.at_once} waiting", f"p50 {each.p50_ms:.1f} ms, p99 {each.p99_ms:.1f} ms")
        for each in found
    ]
    title = "long poll: from the end of the job to the answer, its commit included"
    return Section(title, rows, [asdict(each) for each in found])


def measure_rescue(upstream: Upstream, _options: Options) -> Section:
    """Time from kill -9 to the same job's call by another worker."""
    found = [
        rescue.measure(upstream, quick=quick, most_s=120 if not quick else 30)
        for quick in (True, False)
    ]
    rows = [
        Row(
            f"settings {each.settings}",
            f"{each.seconds:.1f} s",
            f"≤ {RESCUED_WITHIN_S[each.settings]} s",
            each.seconds <= RESCUED_WITHIN_S[each.settings],
        )
        for each in found
    ]
    title = "rescue: from kill -9 of the worker to the job running elsewhere"
    return Section(title, rows, [asdict(each) for each in found])


def measure_routing(_upstream: Upstream, _options: Options) -> Section:
    """Which target goes first, of 50 deployments with two keys each."""
    found = routing.measure()
    rows = [
        Row(
            each.strategy,
            f"{each.us:.0f} µs",
            f"≤ {MOST_DECISION_US} µs",
            each.us <= MOST_DECISION_US,
            f"slowest round {each.slowest_us:.0f} µs",
        )
        for each in found
    ]
    title = f"routing: a decision among {routing.DEPLOYMENTS} deployments with 2 keys each"
    return Section(title, rows, [asdict(each) for each in found])


PARTS: Mapping[str, Callable[[Upstream, Options], Section]] = {
    "jobs": measure_jobs,
    "in_flight": measure_in_flight,
    "submit": measure_submit,
    "long_poll": measure_long_poll,
    "rescue": measure_rescue,
    "translate": lambda _upstream, _options: translate.measure_translate(),
    "now": lambda upstream, _options: returns.measure_now(upstream),
    "stream": lambda upstream, _options: returns.measure_stream(upstream),
    "home": lambda upstream, _options: returns.measure_home(upstream),
    "upload": lambda upstream, _options: big_upload.measure_transfers(upstream),
    "bulk_submit": lambda upstream, options: bulk_parts.measure_bulk_submit(
        upstream, options.lines
    ),
    "bulk_submit_postgres": lambda upstream, options: bulk_parts.measure_on_postgres(
        upstream, options.lines
    ),
    "routing": measure_routing,
    "fairness": lambda upstream, _options: fairness.measure_fairness(upstream),
    "storms": lambda upstream, _options: storm_parts.measure_storms(upstream),
    "drain": lambda upstream, options: drains.measure_drain(upstream, options.lines),
    "workers": lambda upstream, options: drains.measure_workers(upstream, options.lines),
}
