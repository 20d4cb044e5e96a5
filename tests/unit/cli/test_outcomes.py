"""From a job to a line of the results file and to a row of the table."""

from pathlib import Path

import pytest
from rich.console import Console

from api.cli.configuration import load_settings
from api.cli.demo import default_model, describe, find_documents, is_right
from api.cli.documents import Outcome, read_schema, results_file
from api.cli.errors import MISUSED, CommandError
from api.cli.show import main_fields, plain, results_table
from tests.unit.cli.outcomes import completed, failed


def test_a_line_holds_the_answer() -> None:
    assert completed("a.pdf", {"total": 5}).line() == {
        "file": "a.pdf",
        "status": "completed",
        "data": {"total": 5},
        "model": "sandbox/reader",
        "attempts": 1,
        "usage": {"input_tokens": 90, "output_tokens": 10, "cached_tokens": 0},
        "cost_usd": "0.000123",
        "ms": 1500,
        "job": "job_1",
    }


def test_a_line_holds_the_error_instead() -> None:
    line = failed("b.pdf", "invalid_document", "broken_document").line()

    assert "data" not in line
    assert line["status"] == "failed"
    assert line["error"] == {"code": "broken_document", "message": "It ends too early."}
    assert line["ms"] == 250


def test_a_refused_document_has_a_line_too() -> None:
    outcome = Outcome(Path("c.bin"), "refused", None, {"code": "file_too_large", "message": "…"})

    line = outcome.line()

    assert line["status"] == "refused"
    assert line["job"] is None
    assert line["ms"] is None


def test_each_outcome_is_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with results_file(path) as write:
        write(completed("a.pdf", {"n": 1}))
        first = path.read_text("utf-8")
        write(completed("नमस्ते.pdf", {"n": 2}))

    assert first.count("\n") == 1
    assert path.read_text("utf-8").startswith(first)
    assert "नमस्ते.pdf" in path.read_text("utf-8")


def test_results_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written") as raised, results_file(tmp_path):
        pass

    assert raised.value.exit_code == MISUSED


def test_a_broken_document_must_fail_for_being_broken() -> None:
    assert is_right(completed("invoice.pdf", {}))
    assert is_right(failed("broken-note.pdf", "invalid_document", "broken_document"))
    assert not is_right(failed("broken-note.pdf", "internal_error", "internal_error"))
    assert not is_right(completed("broken-note.pdf", {}))
    assert not is_right(failed("invoice.pdf", "invalid_document", "broken_document"))


def test_documents_are_what_is_neither_script_nor_task(tmp_path: Path) -> None:
    for name in ("b.txt", "a.pdf", "make.py", "schema.json", "instructions.txt", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()

    assert [each.name for each in find_documents(tmp_path)] == ["a.pdf", "b.txt"]


def test_a_folder_without_documents_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no documents"):
        find_documents(tmp_path)
    with pytest.raises(CommandError, match="--documents"):
        find_documents(tmp_path / "missing")


SCHEMA = {
    "properties": {
        "kind": {"type": "string"},
        "items": {"type": "array"},
        "date": {"type": ["string", "null"]},
        "address": {"type": "object"},
        "total": {"type": "number"},
    }
}


def test_main_fields_are_single_values() -> None:
    assert main_fields(SCHEMA) == ["kind", "date", "total"]
    assert main_fields(SCHEMA, wanted=("total", "sender")) == ["total"]
    assert main_fields({"type": "string"}) == []


def drawn(width: int) -> str:
    outcomes = [
        completed("a.pdf", {"kind": "invoice", "date": None, "total": 12.5}),
        failed("b.pdf", "invalid_document", "broken_document"),
    ]
    console = Console(width=width)
    with console.capture() as capture:
        console.print(results_table(outcomes, ["kind", "date", "total"], width=width))
    return capture.get()


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_shows_everything(width: int) -> None:
    text = drawn(width)

    for word in ("a.pdf", "invoice", "12.5", "sandbox/reader", "100", "$0.000123", "1.50 s"):
        assert word in text
    assert "failed:" in text
    assert "broken_document" in text


def test_a_cell_cannot_steer_the_terminal() -> None:
    evil = completed("x\x1b]0;owned\x07.pdf", {"kind": "\x1b[2J[red]bold[/red]\r\n"})
    console = Console(width=200, force_terminal=True)
    with console.capture() as capture:
        console.print(results_table([evil], ["kind"], width=200))

    assert "\x1b[2J" not in capture.get()
    assert "\x1b]0;" not in capture.get()
    assert "[red]bold[/red]" in capture.get()
    assert plain("a\x00b\r\nc\x9bd") == "a b c d"


@pytest.mark.parametrize(("text", "words"), [("{", "not JSON"), ("[]", "must be an object")])
def test_a_wrong_schema_is_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(text)

    with pytest.raises(CommandError, match=words) as raised:
        read_schema(path)

    assert raised.value.exit_code == MISUSED
    with pytest.raises(CommandError, match="cannot be read"):
        read_schema(tmp_path / "missing.json")


def test_the_sandbox_answers_only_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert default_model(load_settings()) == "sandbox/reader"
    assert "no language model" in describe("sandbox/reader")

    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    assert default_model(load_settings()) == "openai/gpt-4o-mini"
    assert describe("openai/gpt-4o-mini") == "The answers come from openai/gpt-4o-mini."
