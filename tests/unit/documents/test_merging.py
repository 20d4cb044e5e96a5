"""Putting the answers for the parts of a document together."""

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from shared.documents.merging import Answer, leaves, merge, origins_in, same, settled

SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab ", max_size=3)
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text("abc/~", min_size=1, max_size=2), VALUES, max_size=4)


@given(OBJECTS, st.integers(1, 4))
def test_parts_that_agree_are_the_whole(value: dict[str, JsonValue], times: int) -> None:
    merged = merge([(number, value) for number in range(1, times + 1)], {})

    assert same(merged.value) == same(value)
    assert merged.conflicts == {}
    said = {place for place, leaf in leaves(value) if leaf is not None}
    assert said <= set(merged.origins)
    assert all(merged.origins[place] == tuple(range(1, times + 1)) for place in said)


@given(st.lists(OBJECTS, min_size=1, max_size=4))
def test_whatever_was_said_is_in_the_whole_or_a_candidate(
    values: list[dict[str, JsonValue]],
) -> None:
    answers: list[Answer] = [(number, value) for number, value in enumerate(values, start=1)]
    merged = merge(answers, {})
    known = {same(leaf) for _, leaf in leaves(merged.value)}
    for candidates in merged.conflicts.values():
        assert len(candidates) > 1
        assert len({same(each.value) for each in candidates}) == len(candidates)
        known |= {same(leaf) for each in candidates for _, leaf in leaves(each.value)}

    said = {same(leaf) for value in values for _, leaf in leaves(value) if leaf not in (None, "")}
    assert said <= known


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=5))
def test_lists_are_joined_in_order_without_what_came_before(lists: list[list[int]]) -> None:
    answers: list[Answer] = [(number, {"of": list(each)}) for number, each in enumerate(lists, 1)]
    merged = merge(answers, {})
    value = merged.value
    joined = value["of"] if isinstance(value, dict) else None

    assert isinstance(joined, list)
    assert set(joined) == {each for some in lists for each in some}
    for number in joined:
        assert joined.count(number) == max(
            some.count(number) for some in lists if isinstance(number, int)
        )
    firsts = list(dict.fromkeys(each for some in lists for each in some))
    assert list(dict.fromkeys(joined)) == firsts


def test_null_and_empty_do_not_disagree_with_a_value() -> None:
    answers: list[Answer] = [(1, {"a": None, "b": ""}), (2, {"a": 7, "b": "x"}), (3, {"a": 7})]
    merged = merge(answers, {})

    assert merged.value == {"a": 7, "b": "x"}
    assert merged.origins == {"/a": (2, 3), "/b": (2,)}


def test_the_same_in_other_spaces_or_as_a_whole_float_agrees() -> None:
    merged = merge([(1, {"name": "A  B", "n": 1}), (2, {"name": "A B ", "n": 1.0})], {})

    assert merged.conflicts == {}
    assert merged.value == {"name": "A  B", "n": 1}


def test_objects_are_joined_in_the_order_of_the_schema() -> None:
    schema: dict[str, JsonValue] = {
        "properties": {"seller": {"$ref": "#/$defs/S"}},
        "$defs": {"S": {"properties": {"name": {}, "vat": {}}}},
    }
    answers: list[Answer] = [(1, {"seller": {"vat": "1"}}), (2, {"seller": {"name": "T"}})]
    merged = merge(answers, schema)

    assert list(merged.value["seller"]) == ["name", "vat"]  # type: ignore[call-overload,index,arg-type]
    assert merged.origins == {"/seller/name": (2,), "/seller/vat": (1,)}


def test_a_tuple_is_one_value() -> None:
    schema: dict[str, JsonValue] = {"properties": {"at": {"prefixItems": [{}, {}]}}}
    merged = merge([(1, {"at": [1, 2]}), (2, {"at": [3, 4]})], schema)

    assert list(merged.conflicts) == ["/at"]


def test_what_was_chosen_replaces_the_first_candidate() -> None:
    merged = merge([(1, {"o": {"t": 1}}), (2, {"o": {"t": 2}}), (3, {"o": {"t": 2}})], {})
    assert [(each.value, each.chunks) for each in merged.conflicts["/o/t"]] == [
        (1, (1,)),
        (2, (2, 3)),
    ]

    whole = settled(merged, {"/o/t": 2})
    assert whole.value == {"o": {"t": 2}}
    assert whole.origins == {"/o/t": (2, 3)}
    assert settled(merged, {"/o/t": 9}).origins == {"/o/t": (1, 2, 3)}, "made of all"
    assert whole.conflicts == {}


def test_the_whole_may_be_one_list_or_one_word() -> None:
    assert merge([(1, ["a"]), (2, ["a", "b"])], {}).value == ["a", "b"]
    assert settled(merge([(1, "x"), (2, "y")], {}), {"": "y"}).value == "y"
    assert merge([(1, None), (2, None)], {}).value is None


def test_after_a_correction_values_keep_their_origins() -> None:
    merged = merge([(1, {"a": 1, "items": ["x"]}), (2, {"b": "two"})], {})
    found = origins_in({"a": 1, "c": "two", "new": "three"}, merged)

    assert found == {"/a": (1,), "/c": (2,)}
