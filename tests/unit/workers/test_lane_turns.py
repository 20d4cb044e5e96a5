"""Who waits in one lane gets as much of the workers as who waits in a thousand."""

from math import ceil

from workers.scheduler.lane_turns import lane_turns, room_for


def places(
    lanes: dict[str, list[str]], *, most: int, turn: int = 0, weights: dict[str, int] | None = None
) -> dict[str, int]:
    """Return how many places each lane gets, where all use up what they get."""
    got = {}
    for lane, part in lane_turns(lanes, weights or {}, turn):
        got[lane] = ceil(most * part)
        most -= got[lane]
    assert most == 0
    return got


def test_lanes_of_equals_share_equally_and_take_turns() -> None:
    lanes = {"a": ["ten_1"], "b": ["ten_2"], "c": ["ten_3"]}

    assert places(lanes, most=30) == {"a": 10, "b": 10, "c": 10}
    assert [next(lane_turns(lanes, {}, turn))[0] for turn in range(4)] == ["a", "b", "c", "a"]


def test_a_thousand_lanes_of_one_tenant_are_no_more_than_the_one_of_another() -> None:
    lanes = {f"lane-{number}": ["ten_1"] for number in range(1000)} | {"zzz": ["ten_2"]}

    for turn in range(0, 1001, 100):
        got = places(lanes, most=100, turn=turn)
        assert 49 <= got["zzz"] <= 51


def test_a_weight_counts_and_a_lane_of_many_gets_more() -> None:
    lanes = {"a": ["ten_1", "ten_2"], "b": ["ten_2"], "c": ["ten_3"]}

    assert places(lanes, most=60, weights={"ten_3": 3}) == {"a": 18, "b": 6, "c": 36}


def test_no_lanes_are_no_turns() -> None:
    assert list(lane_turns({}, {}, 5)) == []


def test_the_last_places_are_for_lanes_that_hold_few() -> None:
    assert room_for(0, 320, most=320) == 300
    assert room_for(300, 20, most=320) == 0
    assert room_for(0, 20, most=320) == 20
    assert room_for(15, 20, most=320) == 5
    assert room_for(20, 20, most=320) == 0
    assert room_for(0, 0, most=320) == 0


def test_few_places_are_for_all() -> None:
    assert room_for(7, 1, most=8) == 1
