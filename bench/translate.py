"""*translate*: what it costs to say one dialect in another, in µs, for every pair that is registered.

In this process, on decoded JSON, without any network. Beside it what the same calls cost where both
sides speak alike and nothing is translated.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product

import orjson

from bench.report import Row, Section
from bench.translate_samples import PLAIN, RICH, Sample
from shared.dialects.bridge import PREFERENCE, Bridge
from shared.dialects.registry import TRANSLATORS
from shared.dialects.translator import Head, Unsupported
from shared.inference.dialect import Dialect

HEAD = Head("bench", "best", 1_767_225_600)
MOST_CHUNK_US = 20.0
"""A fifth of what a chunk may cost at 10,000 a second on two cores, by CPU: the rest is the queue's."""
MOST_ADDED_US = 1_000.0
ROUND_S = 0.02
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """µs of one client's dialect at one provider's; `chunk` for each event of a stream."""

    client: str
    provider: str
    request: float
    answer: float
    chunk: float
    chunks: int

    @property
    def translated(self) -> bool:
        """Tell whether there is anything to translate."""
        return self.client != self.provider


def measure() -> list[Cost]:
    """Measure every pair of a client's dialect and one in which a provider is asked for it."""
    pairs = [each for each in product(TRANSLATORS, repeat=2) if each[1] in (each[0], *PREFERENCE)]
    return [cost for client, provider in pairs if (cost := _cost(client, provider)) is not None]


def measure_translate() -> Section:
    """The table of every pair, and whether the dearest is cheap enough."""
    costs = measure()
    rows = [*map(_row, costs), *_targets([each for each in costs if each.translated])]
    title = "translate: µs for a request, a whole answer, a chunk of a stream; client → provider"
    return Section(title, rows, [asdict(each) for each in costs])


def _row(cost: Cost) -> Row:
    what = f"{cost.client} → {cost.provider}"
    figure = f"{cost.request:,.1f}, {cost.answer:,.1f}, {cost.chunk:,.2f}"
    if not cost.translated:
        return Row(what, figure, note="passed through")
    return Row(what, figure, note=f"{1e6 / cost.chunk:,.0f} chunks/s on one core")


def _targets(costs: list[Cost]) -> Iterator[Row]:
    chunk = max(costs, key=lambda each: each.chunk)
    whole = max(costs, key=lambda each: each.request + each.answer)
    target = f"≤ {MOST_CHUNK_US:g} µs"
    note = f"{chunk.client} → {chunk.provider}"
    met = chunk.chunk <= MOST_CHUNK_US
    yield Row("the dearest chunk", f"{chunk.chunk:.2f} µs", target, met, note)
    added = whole.request + whole.answer
    note = f"{whole.client} → {whole.provider}"
    target = f"≤ {MOST_ADDED_US:,.0f} µs"
    yield Row("the dearest call", f"{added:,.0f} µs", target, added <= MOST_ADDED_US, note)


def _cost(client: Dialect, provider: Dialect) -> Cost | None:
    sample = _sample(client, provider)
    if sample is None:
        return None
    bridge = Bridge(client, provider)
    asked = TRANSLATORS[client].write_request(sample.request).body
    asked = {"model": "best", **asked}
    theirs = TRANSLATORS[provider]
    answer = orjson.loads(orjson.dumps(theirs.write_answer(sample.answer, HEAD, asked)))
    encoder = theirs.encoder(HEAD, asked)
    told = [event for delta in sample.deltas for event in encoder.write(delta)]
    events = orjson.loads(orjson.dumps([*told, *encoder.end()]))

    def stream() -> None:
        translating = bridge.stream(HEAD, asked)
        for event in events:
            translating.feed(event)
        translating.end()

    return Cost(
        client.value,
        provider.value,
        _us(lambda: bridge.request(asked)),
        _us(lambda: bridge.answer(answer, HEAD, asked)),
        _us(stream) / len(events),
        len(events),
    )


def _sample(client: Dialect, provider: Dialect) -> Sample | None:
    """Return the richest sample that both can say."""
    for sample in (RICH, PLAIN):
        try:
            body = TRANSLATORS[client].write_request(sample.request).body
            Bridge(client, provider).request(body)
        except Unsupported:
            continue
        return sample
    return None


def _us(act: Callable[[], object]) -> float:
    """Return what an act takes, by CPU, at its best: the rest is what else the machine did."""
    times = _times(act)
    return min(_round(act, times) for _ in range(ROUNDS)) / times * 1e6


def _times(act: Callable[[], object]) -> int:
    times = 1
    while _round(act, times) < ROUND_S:
        times *= 2
    return times


def _round(act: Callable[[], object], times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        act()
    return time.process_time() - began
