"""A set of names in little memory."""

from hypothesis import given
from hypothesis import strategies as st

from shared.batches.seen import FIRST_SLOTS, SHARDS, Seen


@given(st.lists(st.text(max_size=3)))
def test_each_name_is_new_once(names: list[str]) -> None:
    seen, known = Seen(), set[str]()
    for name in names:
        assert seen.add(name) is (name not in known)
        known.add(name)
    assert len(seen) == len(known)


def test_it_grows_and_forgets_nothing() -> None:
    seen = Seen()
    names = [f"request-{number}" for number in range(SHARDS * FIRST_SLOTS * 2)]
    assert all(map(seen.add, names))
    assert not any(map(seen.add, names))
    assert sum(map(len, seen._tables)) * 8 < 32 * len(names)
