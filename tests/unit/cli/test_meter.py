"""How far a pile of work is, at a terminal and elsewhere."""

import io
from decimal import Decimal

import pytest
from rich.console import Console

from api.cli import meter as meter_module
from api.cli.meter import Meter, Pace, Tally, duration, together


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, tallies: list[Tally]) -> str:
    """Return what is shown of tallies that come ten seconds apart."""
    moments = iter(range(0, 1000, 10))
    monkeypatch.setattr(meter_module, "monotonic", lambda: next(moments))
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with Meter(console, "documents") as meter:
        for tally in tallies:
            meter.show(tally)
    return out.getvalue()


def test_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    tallies = [
        Tally(1000, 0, 0),
        Tally(1000, 100, 0, Decimal("0.5")),
        Tally(1000, 100, 0, Decimal("0.5")),
        Tally(1000, 299, 1, Decimal("1.25")),
    ]

    assert shown(monkeypatch, terminal=False, tallies=tallies).splitlines() == [
        "documents: 0 of 1,000 done, 0 failed",
        "documents: 100 of 1,000 done, 0 failed, 10/s, ETA 1:30, $0.5000",
        "documents: 100 of 1,000 done, 0 failed, 5/s, ETA 3:00, $0.5000",
        "documents: 299 of 1,000 done, 1 failed, 10/s, ETA 1:10, $1.2500",
    ]


def test_nothing_new_is_not_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    said = shown(monkeypatch, terminal=False, tallies=[Tally(2, 0, 0)] * 3)

    assert said.count("documents") == 1


def test_a_bar_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")

    said = shown(monkeypatch, terminal=True, tallies=[Tally(4, 0, 0), Tally(4, 1, 1)])

    assert "1 of 4 done, 1 failed, 0.2/s, ETA 0:10" in said


def test_the_pace_is_that_of_the_last_half_minute() -> None:
    pace = Pace()
    for second in range(100):
        pace.see(second, 1000 if second < 60 else 1000 + (second - 60) * 2)

    assert pace.per_s == pytest.approx(2)


def test_no_pace_without_an_end() -> None:
    pace = Pace()
    pace.see(0, 5)
    pace.see(1, 5)

    assert pace.per_s is None


def test_tallies_add_up() -> None:
    some = [Tally(3, 1, 1), Tally(2, 2, 0, Decimal("0.5"))]

    assert together(some) == Tally(5, 3, 1, Decimal("0.5"))
    assert together([]) == Tally()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (75, "1:15"), (7384, "2:03:04")]
)
def test_a_time_is_spelled(seconds: float, text: str) -> None:
    assert duration(seconds) == text
