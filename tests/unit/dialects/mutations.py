"""Bodies with something wrong in them, as no honest client sends them."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from tests.unit.dialects.strategies import Draw

Path = tuple[str | int, ...]
STRANGE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, "", "x", "{", "data:,", [], [[]], [1], ["x"], [{}], [None], {}),
    *({"a": 1}, {"type": "x"}, [{"type": "x"}], {"type": "text"}, {"type": 5}, {"type": []}),
    *({"name": 5}, {"id": 5}, {"text": 5}, {"content": 5}, [{"content": [[]]}], 2**63, "\ud800"),
)


@st.composite
def mutated(draw: Draw, body: Any) -> Any:
    """The same body with one or two of its values replaced, or left out."""
    for _ in range(draw(st.integers(1, 2))):
        paths = list(_paths(body))
        body = _replaced(body, draw(st.sampled_from(paths)), draw(st.sampled_from(STRANGE)))
    return body


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in inner:
        yield (*path, name)
        if isinstance(each, dict | list):
            yield from _paths(each, (*path, name))


def _replaced(value: Any, path: Path, strange: Any) -> Any:
    first, *rest = path
    new = _replaced(value[first], tuple(rest), strange) if rest else strange
    if isinstance(value, dict):
        return {**value, first: new}
    return [*value[: int(first)], new, *value[int(first) + 1 :]]
