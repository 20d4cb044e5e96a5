"""The elements of a list are cut out of a body that arrives in any pieces."""

from collections.abc import Collection
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.batches.cutter import BodyCutter, Place
from shared.errors import BadRequest, TooLarge

TEXTS = st.text(st.sampled_from('a"\\{}[],: \n\u2028ü'), max_size=12)
VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
LISTS = st.lists(VALUES, max_size=6)
FRAMES = st.dictionaries(TEXTS, VALUES, max_size=3)
TOP: Collection[Place] = {("requests",)}
DEEP: Collection[Place] = {("a", "requests"), ("b", "requests")}


def cut(
    body: bytes,
    size: int = 1 << 20,
    *,
    places: Collection[Place] = TOP,
    longest: int = 10_000,
    most_frame: int = 10_000,
) -> tuple[list[Any], bytes]:
    cutter = BodyCutter(places, longest=longest, most_frame=most_frame)
    found = []
    for at in range(0, len(body), size):
        found += [orjson.loads(each) for each in cutter.feed(body[at : at + size])]
    frame = cutter.finish()
    assert cutter.count == len(found)
    return found, frame


def without_containers(values: list[Any]) -> list[Any]:
    return [0 if isinstance(each, dict | list) else each for each in values]


@given(LISTS, FRAMES, FRAMES, st.integers(1, 40), st.booleans())
def test_any_list_in_any_frame_in_any_pieces(
    values: list[Any], before: Any, after: Any, size: int, indented: bool
) -> None:
    body = {**before, "requests": values, **after}
    raw = orjson.dumps(body, option=orjson.OPT_INDENT_2 if indented else 0)

    found, frame = cut(raw, size)

    assert found == values
    assert orjson.loads(frame) == {**body, "requests": without_containers(values)}


@given(LISTS, FRAMES, st.integers(1, 40), st.sampled_from("abc"))
def test_only_where_it_is_looked_for(values: list[Any], more: Any, size: int, name: str) -> None:
    body: dict[str, Any] = {
        "requests": values,
        name: {**more, "requests": values, "x": {"requests": values}},
    }

    found, frame = cut(orjson.dumps(body), size, places=DEEP)

    if name == "c":
        assert (found, orjson.loads(frame)) == ([], body)
    else:
        assert found == values
        body[name]["requests"] = without_containers(values)
        assert orjson.loads(frame) == body


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b'{"requests":[{"a":1}',
        b'{"requests":[{"a":1},]}',
        b'{"requests":[{"a":1} {}]}',
        b'{"requests":[1 {}]}',
        b'{"requests":[{},1,,{}]}',
        b'{"requests":[{"a":1}]}}',
        b'}{"requests":[{"a":1}]}',
        b']]{"requests":[{"a":1}]}',
        b'{"requests":[{"a":1}]} {"requests":[{}]}',
        b'{"requests":[{"a":"\\',
        b'{"x" "requests":[{}]}',
    ],
)
def test_what_is_no_json_leaves_none(body: bytes, size: int) -> None:
    _, frame = cut(body, size)

    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(frame)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_name_may_be_spelled_in_any_way(size: int) -> None:
    found, _ = cut(b'{"re\\u0071uests" :\n[{"a":"]"}, 2, "three", [4]]}', size)

    assert found == [{"a": "]"}, 2, "three", [4]]


def test_an_element_may_only_be_so_long() -> None:
    body = orjson.dumps({"requests": [{"a": "x" * 80}, {"a": "x" * 100}]})

    assert len(cut(body, 7, longest=108)[0]) == 2
    with pytest.raises(TooLarge, match=r"requests\.1"):
        cut(body, 7, longest=107)


def test_an_element_may_only_have_so_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.batches.cutter.MOST_BRACKETS", 20)
    ten: list[Any] = [[] for _ in range(9)]

    assert cut(orjson.dumps({"requests": [ten, ten, ten]}))[0] == [ten] * 3
    with pytest.raises(TooLarge, match=r"requests\.1"):
        cut(orjson.dumps({"requests": [ten, [*ten, []], ten]}))


def test_nothing_grows_without_bound_round_the_elements() -> None:
    cutter = BodyCutter(TOP, longest=100, most_frame=1000)
    assert list(cutter.feed(b" " * 1000)) == []
    with pytest.raises(BadRequest):
        list(cutter.feed(b" "))
