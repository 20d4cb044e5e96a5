"""The parts of the bench that tell how results come home: now, in a stream, to whoever waits."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from bench import home, now, stream
from bench.home import Delays, Hooks, Idle
from bench.now import Pace
from bench.report import Row, Section
from bench.stream import Tokens
from bench.upstreams import Upstream

MOST_ADDED_MS = 8
MOST_CPU_MS = 3
TIMES_LITELLM = 4
KEPT_PACE = 0.9
MOST_FIRST_MS = 12
LEAST_CHUNKS = 10_000
LEAST_HOOKS = 1_000
NO_LITELLM = "not installed: make peers"


def measure_now(upstream: Upstream) -> Section:
    """Chat completions that their callers wait for, at every level of concurrency."""
    found = now.measure(upstream)
    direct = {pace.at_once: pace for pace in found if pace.who == "direct"}
    ours = {pace.at_once: pace for pace in found if pace.who == "Penstock"}
    peer = [pace for pace in found if pace.who.startswith("litellm")]
    rows = [_pace_row(pace, direct[pace.at_once]) for pace in found]
    rows += [*_now_targets(direct, ours), *_beside_litellm([*ours.values()], peer)]
    title = "now: POST /v1/chat/completions, upstream 0 ms, beside the direct call"
    return Section(title, rows, [asdict(pace) for pace in found])


def _pace_row(pace: Pace, direct: Pace) -> Row:
    what = f"{pace.who}, {pace.at_once:,} at a time"
    if pace is direct:
        return Row(what, f"{pace.per_second:,.0f}/s", note=f"p50 {pace.p50_ms:.2f} ms")
    p50, p99 = pace.p50_ms - direct.p50_ms, pace.p99_ms - direct.p99_ms
    figure = f"{pace.per_second:,.0f}/s, added p50 {p50:,.1f} ms, p99 {p99:,.1f} ms"
    return Row(what, figure, note=_cpu(pace.cpu_ms, "ms"))


def _now_targets(direct: dict[int, Pace], ours: dict[int, Pace]) -> Iterator[Row]:
    added = ours[1].p50_ms - direct[1].p50_ms
    target = f"≤ {MOST_ADDED_MS} ms"
    yield Row("added at the median, alone", f"{added:.1f} ms", target, added <= MOST_ADDED_MS)
    cpu = {at_once: sum(pace.cpu_ms.values()) for at_once, pace in ours.items()}
    alone = cpu.pop(1)
    target = f"≤ {MOST_CPU_MS} ms"
    yield Row("CPU a request, alone", f"{alone:.1f} ms", target, alone <= MOST_CPU_MS)
    figure = ", ".join(f"{ms:.1f} ms ({at_once:,})" for at_once, ms in cpu.items())
    met = max(cpu.values()) <= MOST_CPU_MS
    yield Row("CPU a request (so many at a time)", figure, target, met)
    kept = ours[1000].per_second / ours[16].per_second
    target = f"≥ {KEPT_PACE:.0%}: no collapse"
    yield Row("pace at 1,000 against 16", f"{kept:.0%}", target, kept >= KEPT_PACE)


def _beside_litellm(ours: Sequence[Pace], peer: Sequence[Pace]) -> Iterator[Row]:
    if not peer:
        yield Row("against litellm", NO_LITELLM)
        return
    best = max(pace.per_second for pace in peer)
    times = max(pace.per_second for pace in ours) / best
    target = f"≥ {TIMES_LITELLM} × litellm's {best:,.0f}/s"
    yield Row("requests/s, best of each", f"{times:.1f} ×", target, times >= TIMES_LITELLM)


def measure_stream(upstream: Upstream) -> Section:
    """Streamed chat completions: the first token, and all of them."""
    found = stream.measure(upstream)
    direct = found[0]
    rows = [row for tokens in found[1:] for row in _token_rows(tokens, direct)]
    if not any(tokens.who.startswith("litellm") for tokens in found):
        rows.append(Row("against litellm", NO_LITELLM))
    title = f"stream: {stream.AT_ONCE} at a time, 100 chunks each, as fast as the upstream can"
    return Section(title, rows, [asdict(tokens) for tokens in found])


def _token_rows(tokens: Tokens, direct: Tokens) -> Iterator[Row]:
    ours = tokens.who.startswith(stream.OURS)
    p50 = tokens.first_p50_ms - direct.first_p50_ms
    p99 = tokens.first_p99_ms - direct.first_p99_ms
    figure = f"added p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    what = f"{tokens.who}: first token, one stream alone"
    met = p50 <= MOST_FIRST_MS if ours else None
    yield Row(what, figure, f"≤ {MOST_FIRST_MS} ms" if ours else "", met)
    rate = tokens.per_second
    note = f"{tokens.cpu_us:.0f} µs CPU a chunk: {_cpu(tokens.cpu_ms, 'µs', 1000)}"
    note += f"; sent as {tokens.events / tokens.chunks:.0%} as many events"
    target = f"≥ {LEAST_CHUNKS:,}/s" if ours else ""
    met = rate >= LEAST_CHUNKS if ours else None
    yield Row(f"{tokens.who}: chunks", f"{rate:,.0f}/s", target, met, note)


def measure_home(upstream: Upstream) -> Section:
    """Delays from the end of a job to who waits for it, idle listeners, and many webhooks."""
    delays, hooks = home.measure_delays(upstream), home.measure_hooks(upstream)
    idle = home.measure_idle(upstream)
    rows = [row for each in delays for row in _delay_rows(each)]
    rows += [_idle_row(idle), _hooks_row(hooks)]
    raw = [*map(asdict, delays), asdict(idle), asdict(hooks)]
    return Section("home: from the end of a job, its commit included", rows, raw)


def _delay_rows(each: Delays) -> Iterator[Row]:
    for way, (p50, p99) in each.ms.items():
        yield Row(f"{way}, {each.at_once} at a time", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _idle_row(idle: Idle) -> Row:
    figure = f"{idle.mb:.0f} MB, {idle.cpu:.1%} of a core"
    note = f"one API process; {idle.kb_each:.0f} KB each"
    return Row(f"{idle.clients:,} idle SSE clients", figure, note=note)


def _hooks_row(hooks: Hooks) -> Row:
    rate = hooks.per_second
    target, note = f"≥ {LEAST_HOOKS:,}/s", _cpu(hooks.cpu_ms, "ms")
    met = rate >= LEAST_HOOKS
    return Row(f"{hooks.count:,} webhooks due at once", f"{rate:,.0f}/s", target, met, note)


def _cpu(parts: dict[str, float], unit: str, factor: float = 1) -> str:
    digits = 2 if factor == 1 else 0
    said = ", ".join(f"{name} {factor * value:.{digits}f}" for name, value in parts.items())
    return f"CPU {unit}: {said}"
