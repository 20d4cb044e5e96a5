"""From ids to messages."""

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.wakeups import INTERACTIVE_SLICE, lone_wakeups, wakeups

JOBS = st.lists(st.tuples(st.uuids().map(str), st.integers(0, 2)), max_size=200)


@given(JOBS, st.integers(1, 64))
def test_every_job_is_woken_once_on_its_queue(jobs: list[tuple[str, int]], size: int) -> None:
    queues = ["interactive", "standard", "bulk"]

    messages = wakeups(jobs, slice_size=size)

    woken = [(each, str(m.queue)) for m in messages for each in m.kwargs["ids"]]  # type: ignore[union-attr]
    assert sorted((each, queues[rank]) for each, rank in jobs) == sorted(woken)
    assert all(len(m.kwargs["ids"]) <= size for m in messages)  # type: ignore[arg-type]


def test_a_rush_of_interactive_jobs_is_shared_out() -> None:
    many = [(f"job_{number}", 0) for number in range(64)]

    assert len(wakeups(many[:1], slice_size=64)) == 1
    assert len(wakeups(many, slice_size=64)) == 64 / INTERACTIVE_SLICE
    assert len(wakeups([(each, 1) for each, _ in many], slice_size=64)) == 1


def test_a_suspect_comes_alone_and_is_marked() -> None:
    messages = lone_wakeups([("a", 1), ("b", 1)])

    assert [m.kwargs["ids"] for m in messages] == [["a"], ["b"]]
    assert all(m.kwargs["suspect"] is True for m in messages)
