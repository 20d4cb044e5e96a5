"""In which order lanes are served in a pass, and how much of what the workers have room for each may take. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from workers.places import kept_of


def lane_turns(
    lanes: Mapping[str, Sequence[str]], weights: Mapping[str, int], turn: int
) -> Iterator[tuple[str, float]]:
    """Yield each lane with its part of what is left for it and those after it.

    `lanes` are the tenants that wait in each. A tenant's share is split over the lanes in which it
    waits, and all come to their first lane before anyone comes to a second: whoever names a
    thousand models has no more of the workers than who names one. With `turn` it changes which of
    equals is first.
    """
    names = sorted(lanes)
    first = turn % len(names) if names else 0
    names = names[first:] + names[:first]
    lanes_of = Counter(tenant for tenants in lanes.values() for tenant in tenants)
    seen: Counter[str] = Counter()
    rounds, parts = {}, {}
    for lane in names:
        tenants = lanes[lane]
        rounds[lane] = min((seen[tenant] for tenant in tenants), default=0)
        parts[lane] = sum(max(1, weights.get(each, 1)) / lanes_of[each] for each in tenants)
        seen.update(tenants)
    rest = sum(parts.values())
    for lane in sorted(names, key=rounds.__getitem__):
        yield lane, min(1.0, parts[lane] / rest) if rest > 0 else 1.0
        rest -= parts[lane]


def room_for(held: int, places: int, *, most: int) -> int:
    """Return how many of the free `places` a lane may have that holds `held` of `most`.

    The last of them are for lanes that hold few: what hangs at one provider keeps nobody else back.
    """
    kept = kept_of(most)
    return max(0, places - kept, min(places, kept - held))
