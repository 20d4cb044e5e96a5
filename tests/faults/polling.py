"""Waiting in tests: ask again and again, with a deadline, and say what was waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(ask: Callable[[], T], what: str, *, within_s: float = 30, every_s: float = 0.02) -> T:
    """Return what `ask` returns as soon as that is true.

    Raises:
        AssertionError: it did not become true in time; names `what` and the last answer.
    """
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what} (last answer: {answer!r})")
        time.sleep(every_s)
    return answer


def stays(ask: Callable[[], bool], what: str, *, for_s: float, every_s: float = 0.02) -> None:
    """Watch that something stays true for a while.

    Raises:
        AssertionError: it did not.
    """
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert ask(), f"no longer true: {what}"
        time.sleep(every_s)
