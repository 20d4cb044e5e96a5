"""Whose turn it is among receivers: those that answer quickly are never behind those that do not."""

import asyncio

import pytest

from workers.delivery.lanes import MOST_WAITING, REMEMBERED, Lane, Lanes, Paces
from workers.delivery.turn import batch_size


@pytest.mark.parametrize(
    ("latency_s", "expected"),
    [(None, 5), (0.0, 100), (0.01, 100), (0.25, 100), (0.5, 50), (1.0, 25), (5.0, 5), (14.0, 5)],
)
def test_a_batch_takes_about_a_turn(latency_s: float | None, expected: int) -> None:
    assert batch_size(latency_s, 5) == expected


def test_a_target_is_quick_only_once_it_was() -> None:
    paces = Paces()
    assert not paces.is_quick("a")

    paces.note("a", 0.1)
    paces.note("b", 9)

    assert (paces.is_quick("a"), paces.is_quick("b")) == (True, False)


def test_a_target_that_becomes_slow_is_noticed_at_once_and_one_that_recovers_soon() -> None:
    paces = Paces()
    paces.note("a", 0.1)
    paces.note("a", 15)
    assert not paces.is_quick("a")

    for _ in range(4):
        paces.note("a", 0.1)
    assert paces.is_quick("a")


def test_what_is_known_of_targets_is_bounded() -> None:
    paces = Paces()
    for number in range(REMEMBERED + 10):
        paces.note(f"t{number}", 0.1)

    assert paces.latency_s("t9") is None
    assert paces.latency_s("t10") == 0.1


def test_a_lane_gives_turns_in_order_and_no_more_than_it_has() -> None:
    lane = Lane(2, asyncio.Semaphore(1))
    for target in "abc":
        lane.add(target)

    assert [lane.next() for _ in range(3)] == ["a", "b", None]
    lane.running -= 1
    assert lane.next() == "c"
    lane.running -= 1
    assert lane.next() is None


def test_strangers_and_slow_ones_hold_no_place_of_the_quick() -> None:
    lanes = Lanes()
    lanes.paces.note("quick", 0.1)
    lanes.paces.note("slow", 9)
    for target in ("quick", "slow", "stranger", "quick", "stranger"):
        lanes.line_up(target)

    assert lanes.quick.waiting == {"quick"}
    assert lanes.slow.waiting == {"slow", "stranger"}


def test_a_thousand_hosts_of_one_tenant_are_one_line() -> None:
    lane = Lane(100, asyncio.Semaphore(1))
    for number in range(1000):
        lane.add(f"ten_1:host-{number}.example")
    lane.add("ten_2:good.example")
    lane.add("whe_good")

    first = [lane.next() for _ in range(4)]

    assert first == [
        "ten_1:host-0.example",
        "ten_2:good.example",
        "whe_good",
        "ten_1:host-1.example",
    ]


def test_receivers_that_hang_close_the_gate_for_nobody_who_answers() -> None:
    lanes = Lanes()
    lanes.paces.note("quick", 0.1)
    for number in range(2 * MOST_WAITING):
        lanes.line_up(f"hangs-{number}")

    lanes.line_up("quick")

    assert len(lanes.slow.waiting) == MOST_WAITING
    assert lanes.has_room
    assert lanes.quick.next() == "quick"
