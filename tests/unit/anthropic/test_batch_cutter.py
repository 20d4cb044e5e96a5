"""Requests are cut out of a body that arrives in any pieces."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.anthropic.batch_cutter import MOST_FRAME_BYTES, RequestCutter
from shared.errors import BadRequest, TooLarge

TEXTS = st.text(st.sampled_from('a"\\{}[],: \n\u2028ü'), max_size=12)
VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
REQUESTS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=3), min_size=1, max_size=5)


def cut(body: bytes, size: int = 1 << 20, longest: int = 10_000) -> list[Any]:
    cutter = RequestCutter(longest)
    found = []
    for at in range(0, len(body), size):
        found += [orjson.loads(each) for each in cutter.feed(body[at : at + size])]
    cutter.finish()
    assert cutter.count == len(found)
    return found


@given(REQUESTS, st.integers(1, 40), st.booleans())
def test_any_requests_in_any_pieces(requests: list[Any], size: int, indented: bool) -> None:
    option = orjson.OPT_INDENT_2 if indented else 0
    body = orjson.dumps({"requests": requests}, option=option)

    assert cut(body, size) == requests


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b'{"requests":[{"a":1}', "invalid_json"),
        (b'{"requests":[{"a":1},]}', "invalid_json"),
        (b'{"requests":[{"a":1}]}}', "invalid_json"),
        (b'{"requests":[{"a":1}]} {"requests":[{}]}', "invalid_json"),
        (b'{"requests":[{"a":"\\', "invalid_json"),
        (b"[]", "missing_field"),
        (b"[[{}]]", "missing_field"),
        (b'{"request":[{}]}', "missing_field"),
        (b'{"requests":[]}', "invalid_field"),
        (b'{"requests":{"a":{}}}', "invalid_field"),
        (b'{"requests":[{}, 0]}', "invalid_field"),
        (b'{"requests":[{}, "x"]}', "invalid_field"),
        (b'{"requests":[[{}]]}', "invalid_field"),
        (b'{"requests":null}', "invalid_field"),
        (b'{"requests":[{}], "more":[{}]}', "invalid_field"),
    ],
)
def test_what_is_no_list_of_requests_is_refused(body: bytes, code: str, size: int) -> None:
    with pytest.raises(BadRequest) as caught:
        cut(body, size)

    assert caught.value.code == code


def test_a_request_may_only_be_so_long() -> None:
    body = orjson.dumps({"requests": [{"a": "x" * 80}, {"a": "x" * 100}]})

    assert len(cut(body, 7, longest=108)) == 2
    with pytest.raises(TooLarge, match=r"requests\.1"):
        cut(body, 7, longest=107)


def test_nothing_grows_without_bound_round_the_requests() -> None:
    cutter = RequestCutter(100)
    assert list(cutter.feed(b" " * MOST_FRAME_BYTES)) == []
    with pytest.raises(BadRequest):
        list(cutter.feed(b" "))
