"""What a pass may give out: never more than a lane has room for, and a reserve for interactive work."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from shared.limiter.buckets import Bucket, Lane
from shared.limiter.rooms import OPEN, PAUSED, PROBE_DUE, PROBE_OUT, Room
from workers.scheduler.paces import Pace, Paces
from workers.scheduler.pools import Coming, Pool, Pools, round_breakers, spread

LANE = Lane("a", (Bucket("requests", 100, 10), Bucket("tokens", 1000, 100)), 50)
BARE = Lane("b", (), 10)


@dataclass(frozen=True)
class Job:
    """A job as far as pools go."""

    tokens: int = 10
    priority: int = 2
    created_at: int = 0


def room(
    *,
    lane: Lane = LANE,
    under_way: int = 0,
    state: int = OPEN,
    levels: tuple[int, ...] = (100, 1000),
) -> Room:
    return Room(lane, under_way, lane.max_concurrency, state, 0, levels)


def pool(of: Room, *, reserve: float = 0.0, ahead: int = 0, pending: int = 0) -> Pool:
    return Pool(of, reserve=reserve, ahead=ahead, pending=Coming(pending, pending * 10))


def given_out(some: Pool, job: Job) -> int:
    count = 0
    while some.take(job):
        count += 1
        assert count < 1000
    return count


def test_it_gives_what_slots_requests_and_tokens_allow() -> None:
    assert given_out(pool(room()), Job(tokens=1)) == 50
    assert given_out(pool(room(under_way=45)), Job(tokens=1)) == 5
    assert given_out(pool(room(levels=(7, 1000))), Job(tokens=1)) == 7
    assert given_out(pool(room(levels=(100, 305))), Job(tokens=100)) == 3


def test_a_deployment_that_is_left_alone_has_no_room_and_one_place_for_its_probe() -> None:
    keys = Lane("a2", (), 10)
    rooms = {"a": room(), "a2": Room(keys, 0, 10, OPEN, 0, ()), "b": Room(BARE, 0, 10, OPEN, 0, ())}
    deployments = {"a": "a", "a2": "a", "b": "b"}

    shut = round_breakers(rooms, {"a": 3.0}, deployments)
    due = round_breakers(rooms, {"a": 0.0}, deployments)

    assert [each.free for each in shut.values()] == [0, 0, 10]
    assert [each.free for each in due.values()] == [1, 0, 10]
    assert given_out(pool(due["a"], ahead=5), Job()) == 1


def test_what_is_pending_is_given_already_and_what_ends_is_given_ahead() -> None:
    assert given_out(pool(room(under_way=45), pending=3), Job()) == 2
    assert given_out(pool(room(under_way=45), pending=3, ahead=4), Job()) == 6
    assert given_out(pool(room(levels=(7, 1000)), pending=3), Job()) == 4


def test_what_is_less_urgent_leaves_a_reserve() -> None:
    some = pool(room(), reserve=0.1)

    assert given_out(some, Job(tokens=1)) == 45
    # Standard work may use half of what bulk work leaves.
    assert given_out(some, Job(tokens=1, priority=1)) == 3
    assert given_out(some, Job(tokens=1, priority=0)) == 2
    # Of ten tokens' worth in a full bucket, nine are given; the rest only to whom it is kept for.
    scarce = pool(room(levels=(100, 1000)), reserve=0.1)
    assert given_out(scarce, Job(tokens=100)) == 9
    assert given_out(scarce, Job(tokens=100, priority=0)) == 1


def test_a_lane_too_narrow_for_a_reserve_has_none() -> None:
    assert given_out(pool(room(lane=Lane("n", (), 5), levels=()), reserve=0.1), Job()) == 5


def test_a_job_that_needs_nearly_all_goes_when_the_bucket_is_full() -> None:
    assert not pool(room(levels=(100, 999)), reserve=0.1).take(Job(tokens=1000))
    assert pool(room(levels=(100, 1000)), reserve=0.1).take(Job(tokens=1000))
    assert pool(room(levels=(100, 1000)), reserve=0.1).take(Job(tokens=5000))


def test_a_paused_lane_gives_its_probe_alone() -> None:
    assert given_out(pool(room(state=PAUSED), reserve=0.1, ahead=9), Job()) == 0
    assert given_out(pool(room(state=PROBE_OUT), reserve=0.1, ahead=9), Job()) == 0
    assert given_out(pool(room(state=PROBE_DUE), reserve=0.1, ahead=9), Job()) == 1
    assert given_out(pool(room(state=PROBE_DUE), pending=1, ahead=9), Job()) == 0


def test_what_the_first_lane_has_no_room_for_goes_to_the_next() -> None:
    pools = Pools(
        {"a": pool(room(under_way=48)), "b": pool(room(lane=BARE, levels=(), under_way=7))}
    )

    assert pools.slots(("a", "b")) == 5
    assert [pools.take(Job(), ("a", "b")) for _ in range(6)] == [True] * 5 + [False]


def test_small_jobs_do_not_take_what_a_large_one_waits_for() -> None:
    pools = Pools({"a": pool(room(levels=(100, 300)))})

    assert not pools.take(Job(tokens=500), ("a",))
    assert not pools.take(Job(tokens=10), ("a",))
    # It holds up nobody who is more urgent, whether they wait for as much or not.
    assert not pools.take(Job(tokens=500, priority=1), ("a",))
    assert not pools.take(Job(tokens=10, priority=1), ("a",))
    assert pools.take(Job(tokens=10, priority=0), ("a",))


def test_bulk_work_that_finds_no_room_closes_no_other_door() -> None:
    pools = Pools({"a": pool(room(under_way=45), reserve=0.1)})

    assert not pools.take(Job(tokens=1), ("a",))
    assert pools.take(Job(tokens=1, priority=1), ("a",))


def test_what_is_coming_is_counted_where_it_will_go() -> None:
    rooms = {"a": room(under_way=47), "b": room(lane=BARE, levels=())}

    pending = spread(
        {"a": ("a", "b"), "b": ("b",)}, {"a": Coming(5, 500), "b": Coming(1, 7)}, rooms
    )

    assert pending == {"a": Coming(3, 300), "b": Coming(3, 207)}


def test_an_unknown_lane_has_no_room() -> None:
    assert not Pools({}).take(Job(), ("a",))
    assert Pools({}).slots(("a",)) == 0


@given(st.lists(st.integers(0, 400), max_size=100), st.integers(0, 100), st.integers(0, 1000))
def test_never_more_is_given_than_there_is(sizes: list[int], calls: int, tokens: int) -> None:
    some = pool(room(levels=(calls, tokens)), reserve=0.1)

    went = [size for size in sizes if some.take(Job(tokens=size))]

    assert len(went) <= min(45, calls)
    assert sum(went) <= tokens


def test_a_pace_is_right_from_the_beginning_and_forgets() -> None:
    pace = Pace(memory_s=10)
    for tick in range(1, 41):
        pace.add(5, tick * 0.1)

    assert 45 < pace.per_s(4.0) < 60
    assert pace.per_s(60.0) < 1


def test_lanes_that_stand_still_are_forgotten() -> None:
    paces = Paces(1.0)
    paces.add({"a": 10}, 0.0)
    paces.add({"b": 10}, 100.0)

    assert list(paces.all(100.5)) == ["b"]
    assert paces.per_s("a", 100.5) == 0
