"""*stream*: time to the first token, and chunks a second through the queue."""

from dataclasses import dataclass

from bench.now import Cpu, Door, ask, cpu_ms, doors
from bench.upstreams import Upstream

PAUSE_MS = 5
ALONE = 60
STREAMS, AT_ONCE = 1500, 64
WARM_UP = 100
MOST_S = 15.0
OURS = "Penstock"


@dataclass(frozen=True, slots=True)
class Tokens:
    """Streams of 100 chunks: the first token of one alone, and as many as come through together.

    `events` is in how many pieces the client had them: who falls behind is sent several as one.
    """

    who: str
    first_p50_ms: float
    first_p99_ms: float
    chunks: int
    events: int
    seconds: float
    cpu_ms: dict[str, float]

    @property
    def per_second(self) -> float:
        """Return chunks a second."""
        return self.chunks / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return CPU a chunk over all processes, in microseconds."""
        return 1000 * sum(self.cpu_ms.values())


def measure(upstream: Upstream) -> list[Tokens]:
    """Measure at the upstream itself, at a fresh Penstock, and at litellm if it is there."""
    nothing: Cpu = dict
    found = [_tokens(upstream, Door("direct", upstream.port, "sk-bench", nothing))]
    for opened in doors(upstream):
        upstream.reset(delay_ms=0)
        with opened as door:
            ask(door, at_once=8, count=WARM_UP, seconds=MOST_S, stream=True)
            found.append(_tokens(upstream, door))
            if door.who == OURS:
                found.append(_tokens(upstream, door, messages=True))
    return found


def _tokens(upstream: Upstream, door: Door, *, messages: bool = False) -> Tokens:
    # One stream at a time, at the pace of a model: what counts is when its first token is there.
    upstream.reset(delay_ms=0, pause_ms=PAUSE_MS)
    alone = ask(door, at_once=1, count=ALONE, seconds=2 * MOST_S, stream=True, messages=messages)
    # And many at once, as fast as the upstream can.
    upstream.reset(delay_ms=0)
    before = door.cpu()
    many = ask(door, at_once=AT_ONCE, count=STREAMS, seconds=MOST_S, stream=True, messages=messages)
    return Tokens(
        f"{door.who}, translated" if messages else door.who,
        alone["first_p50_ms"],
        alone["first_p99_ms"],
        many["chunks"],
        many["events"],
        many["seconds"],
        cpu_ms(before, door.cpu(), many["chunks"]),
    )
