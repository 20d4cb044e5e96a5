"""Results as a table that a spreadsheet opens without harm."""

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.cli.errors import MISUSED, CommandError
from api.cli.spreadsheet import cell, write_csv

SCHEMA = {"type": "object", "properties": {"sender": {}, "total": {}}}


def table(tmp_path: Path, *lines: dict[str, Any]) -> list[list[str]]:
    results = tmp_path / "results.jsonl"
    results.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    write_csv(results, tmp_path / "out.csv", SCHEMA)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_row_a_document_and_a_column_a_value(tmp_path: Path) -> None:
    data = {"total": 5.5, "sender": "鴨川旅館", "lines": [{"n": 1}], "paid": True, "file": "x"}
    error = {"code": "broken_document", "message": "It ends, too early."}

    assert table(
        tmp_path,
        {"file": "a.pdf", "status": "completed", "data": data},
        {"file": "b.pdf", "status": "failed", "error": error},
    ) == [
        ["file", "status", "error", "sender", "total", "lines", "paid", "data.file"],
        ["a.pdf", "completed", "", "鴨川旅館", "5.5", '[{"n":1}]', "true", "x"],
        ["b.pdf", "failed", "broken_document: It ends, too early.", "", "", "", "", ""],
    ]


def test_an_answer_that_is_no_object_has_one_column(tmp_path: Path) -> None:
    rows = table(tmp_path, {"file": "a", "status": "completed", "data": [1, 2]})

    assert rows[0][3:] == ["sender", "total", "data"]
    assert rows[1][-1] == "[1,2]"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_nothing_is_taken_for_a_formula(tmp_path: Path, text: str) -> None:
    line = {"file": text, "status": "completed", "data": {"sender": text, text: "x"}}

    head, row = table(tmp_path, line)

    assert [head[-1], row[0], row[3]] == [f"'{text}"] * 3


def test_a_number_stays_a_number() -> None:
    assert cell(-5) == -5
    assert cell(1e300) == 1e300
    assert cell(None) == ""


def test_a_table_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").touch()

    with pytest.raises(CommandError, match="cannot be written") as raised:
        write_csv(tmp_path / "results.jsonl", tmp_path / "none" / "out.csv", SCHEMA)

    assert raised.value.exit_code == MISUSED
