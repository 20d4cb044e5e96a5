"""The table of states."""

from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.transitions import FINAL, FOLLOWS, OPEN, JobState, Priority, may_follow, sources


def test_every_state_has_a_row() -> None:
    assert set(JobState) == set(FOLLOWS)


def test_completed_is_left_by_nothing() -> None:
    assert not any(may_follow(JobState.COMPLETED, to) for to in JobState)


@given(st.sampled_from(sorted(FINAL)), st.sampled_from(list(JobState)))
def test_only_a_retry_leaves_an_end(end: JobState, to: JobState) -> None:
    if may_follow(end, to):
        assert to == JobState.QUEUED


def test_every_open_state_can_end() -> None:
    for state in OPEN:
        assert FOLLOWS[state] & FINAL, state


def test_sources_are_the_table_read_backwards() -> None:
    for to in JobState:
        assert {state for state in JobState if may_follow(state, to)} == set(sources(to))


def test_ranks_order_priorities_and_lead_back() -> None:
    assert [priority.rank for priority in Priority] == [0, 1, 2]
    assert list(Priority) == [Priority.of_rank(rank) for rank in range(3)]
