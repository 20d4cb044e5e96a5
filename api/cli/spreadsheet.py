"""Results as a table that a spreadsheet opens: a row a document, a column a value of its answer."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from api.cli.errors import MISUSED, CommandError

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet compute a cell instead of showing it."""
FIRST = ("file", "status", "error")


def write_csv(results: Path, table: Path, schema: Mapping[str, Any]) -> None:
    """Turn the lines of a results file into a table, in UTF-8; it is there whole or not at all.

    Raises:
        CommandError: the table cannot be written.
    """
    columns = _columns(results, schema)
    making = table.with_name(f"{table.name}.part")
    try:
        with making.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([_safe(name) for name in (*FIRST, *(_title(each) for each in columns))])
            writer.writerows(_row(line, columns) for line in _lines(results))
        making.replace(table)
    except OSError as error:
        message = f"{table} cannot be written: {error.strerror}."
        raise CommandError(message, exit_code=MISUSED) from error


def cell(value: object) -> str | int | float:
    """Return a value as a cell shows it: a single value as it is, anything deeper as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    return _safe(value if isinstance(value, str) else orjson.dumps(value).decode())


def _columns(results: Path, schema: Mapping[str, Any]) -> list[str]:
    """Name what the answers hold: what the schema names first, in its order."""
    named = schema.get("properties")
    columns = dict.fromkeys(named if isinstance(named, dict) else ())
    for line in _lines(results):
        columns |= dict.fromkeys(_data(line))
    return list(columns)


def _title(column: str) -> str:
    return f"data.{column}" if column in FIRST else column


def _row(line: Mapping[str, Any], columns: list[str]) -> list[str | int | float]:
    data, error = _data(line), line.get("error") or {}
    said = f"{error.get('code')}: {error.get('message')}" if error else None
    return [
        *(cell(each) for each in (line["file"], line["status"], said)),
        *(cell(data.get(name)) for name in columns),
    ]


def _data(line: Mapping[str, Any]) -> dict[str, Any]:
    data = line.get("data")
    if isinstance(data, dict):
        return data
    return {} if data is None else {"data": data}


def _lines(results: Path) -> Iterator[dict[str, Any]]:
    with results.open("rb") as file:
        for line in file:
            yield orjson.loads(line)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text
