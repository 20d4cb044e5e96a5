"""Who has many calls open leaves the last places to others."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from shared.routing.model import Deployment, Target
from workers.attempt.loads import LaneLoads

MOST = 32
"""Of which two are kept."""


@pytest.fixture
def asking() -> Iterator[ExitStack]:
    """Calls that ask to be admitted, until the test is over."""
    with ExitStack() as stack:
        yield stack


def _target(name: str) -> Target:
    return Target(Deployment(name, "openai", "m"), "")


def test_the_last_places_are_not_for_who_has_many() -> None:
    loads, large, small = LaneLoads(), _target("large"), _target("small")
    for _ in range(MOST - 3):
        loads.began(large)
    assert not loads.crowds_out(large, most=MOST)

    loads.began(large)

    assert loads.crowds_out(large, most=MOST)
    assert not loads.crowds_out(small, most=MOST)
    loads.ended(large, well=True, first_token_ms=None, total_ms=1)
    assert not loads.crowds_out(large, most=MOST)


def test_of_many_that_ask_at_once_each_sees_the_others(asking: ExitStack) -> None:
    loads, large = LaneLoads(), _target("large")
    admitted = 0
    while not loads.crowds_out(large, most=MOST):
        asking.enter_context(loads.entering(large))
        admitted += 1

    assert admitted == MOST - 2
    asking.close()
    assert not loads.crowds_out(large, most=MOST)


def test_where_places_are_few_nothing_is_kept() -> None:
    loads, only = LaneLoads(), _target("only")
    for _ in range(8):
        loads.began(only)
    assert not loads.crowds_out(only, most=8)
