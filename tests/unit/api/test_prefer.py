"""The `Prefer` header."""

import pytest
from starlette.requests import Request

from api.prefer import Preference, preference


def read(*headers: str) -> Preference:
    raw = [(b"prefer", header.encode()) for header in headers]
    return preference(Request({"type": "http", "headers": raw}))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), Preference()),
        (("respond-async",), Preference(0, respond_async=True)),
        (("wait=5",), Preference(5)),
        (("respond-async, wait=10",), Preference(10, respond_async=True)),
        (("respond-async", "wait=10"), Preference(10, respond_async=True)),
        (('Wait="7"',), Preference(7)),
        (("wait=5, wait=9",), Preference(5)),
        (("wait=600",), Preference(60)),
        (("wait=-1",), Preference()),
        (("wait=soon; x=y, other",), Preference()),
    ],
)
def test_what_is_read(headers: tuple[str, ...], expected: Preference) -> None:
    assert expected == read(*headers)


def test_what_was_honoured_is_named() -> None:
    assert read("wait=10, respond-async").applied == "respond-async, wait=10"
    assert read("handling=strict").applied is None
