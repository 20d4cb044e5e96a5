"""What the commands show at the terminal: progress and tables."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.cli.documents import Outcome

MAIN_FIELDS = 4
LEAST_WIDTH = 150
"""Where nobody's terminal sets the width, lines are long enough for the table."""
WIDE = 130
NOTHING = "–"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def console() -> Console:
    """Return the console of the standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else LEAST_WIDTH)


@contextmanager
def progress(out: Console, title: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a bar; what is given counts one more as done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=out) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def table(
    titles: Sequence[str], rows: Iterable[Sequence[object]], *, fold_first: bool = False
) -> Table:
    """Return a table of plain cells: nothing in them is taken for markup or a control sequence.

    The first cell, which names what the row is about, stays on one line unless it may be folded.
    """
    shown = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number, title in enumerate(titles):
        shown.add_column(title, overflow="fold", no_wrap=number == 0 and not fold_first)
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return shown


def results_table(outcomes: Sequence[Outcome], fields: Sequence[str], *, width: int) -> Table:
    """Return the table of what was read out of the documents, with some fields of the schema.

    Where the terminal is narrow, the fields stand below the document's name.
    """
    rest = ("model", "attempts", "tokens", "cost", "time")
    if width >= WIDE:
        rows = ((each.file.name, *_values(each, fields), *_figures(each)) for each in outcomes)
        return table(("document", *fields, *rest), rows)
    stacked = ((_stacked(each, fields), *_figures(each)) for each in outcomes)
    return table(("document", *rest), stacked, fold_first=True)


def main_fields(schema: Mapping[str, Any], *, wanted: Sequence[str] = ()) -> list[str]:
    """Return those of the wanted fields that a schema has; else its first few single values."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return []
    if known := [name for name in wanted if name in properties]:
        return known
    return [name for name, field in properties.items() if _is_scalar(field)][:MAIN_FIELDS]


def plain(value: object) -> str:
    """Return a value as one line without control characters, a dash for none."""
    return NOTHING if value is None else _CONTROL.sub(" ", str(value))


def _is_scalar(field: object) -> bool:
    if not isinstance(field, Mapping):
        return False
    kinds = field.get("type")
    return not {"array", "object"} & set([kinds] if isinstance(kinds, str) else kinds or ())


def _values(outcome: Outcome, fields: Sequence[str]) -> list[object]:
    data = outcome.data if isinstance(outcome.data, dict) else {}
    values = [data.get(name) for name in fields]
    if not outcome.ok:
        values[:1] = [f"{outcome.status}: {(outcome.error or {}).get('code', 'unknown')}"]
    return values


def _stacked(outcome: Outcome, fields: Sequence[str]) -> Text:
    there = [plain(value) for value in _values(outcome, fields) if value is not None]
    return Text(f"{plain(outcome.file.name)}\n{' · '.join(there)}")


def _figures(outcome: Outcome) -> Sequence[object]:
    job = outcome.job or {}
    usage = job.get("usage")
    cost = job.get("cost_usd")
    return (
        job.get("model"),
        len(job.get("attempts", ())),
        usage and usage["input_tokens"] + usage["output_tokens"],
        cost and f"${cost}",
        None if outcome.ms is None else f"{outcome.ms / 1000:.2f} s",
    )
