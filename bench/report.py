"""The table that the bench prints."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; `met` is None where nothing was promised."""

    what: str
    figure: str
    target: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one part of the bench, and everything that was measured, for `--json`."""

    title: str
    rows: list[Row]
    raw: list[dict[str, object]] = field(default_factory=list)


def show(sections: Iterable[Section], console: Console) -> None:
    """Print a table for each section."""
    for section in sections:
        table = Table("what", "figure", "target", "note", title=section.title, title_justify="left")
        for row in section.rows:
            table.add_row(row.what, row.figure, _target(row), row.note)
        console.print(table)


def _target(row: Row) -> str:
    if row.met is None:
        return row.target
    colour, word = ("green", "met") if row.met else ("red", "missed")
    return f"{row.target} [{colour}]{word}[/]"
