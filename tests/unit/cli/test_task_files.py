"""What a run reads and writes are files of their own, however they are spelled."""

import os
from pathlib import Path

import pytest

from api.cli.errors import MISUSED, CommandError
from api.cli.task_files import read_instructions, refuse_shared


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "link").symlink_to("below")
    (tmp_path / "to-results").symlink_to("results")
    return tmp_path


@pytest.mark.parametrize(
    "table",
    [
        "results",
        "./results",
        "below/../results",
        "to-results",
        "results.state",
        "results.part",
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_a_table_is_no_results_file(place: Path, table: str, there: bool) -> None:
    if there:
        (place / "results").write_text("paid for")

    with pytest.raises(CommandError, match="use the same file") as raised:
        refuse_shared(Path("results"), Path(table), [])
    assert raised.value.exit_code == MISUSED


def test_a_hard_link_is_the_same_file(place: Path) -> None:
    (place / "results").write_text("paid for")
    os.link("results", "other")

    with pytest.raises(CommandError):
        refuse_shared(place / "results", Path("other"), [])


def test_letters_of_another_case_may_be_the_same_file() -> None:
    with pytest.raises(CommandError):
        refuse_shared(Path("results"), Path("Results"), [])


def test_what_a_table_is_made_in_is_no_results_file() -> None:
    with pytest.raises(CommandError):
        refuse_shared(Path("table.part"), Path("table"), [])


@pytest.mark.parametrize(
    ("out", "table", "option"),
    [("schema", None, "--out"), ("link/task", None, "--out"), ("results", "schema", "--csv")],
)
def test_the_task_is_not_overwritten(out: str, table: str | None, option: str) -> None:
    with pytest.raises(CommandError, match=f"^{option} would overwrite") as raised:
        refuse_shared(
            Path(out), Path(table) if table else None, [Path("schema"), Path("below/task")]
        )
    assert raised.value.exit_code == MISUSED


def test_files_of_their_own_are_fine() -> None:
    refuse_shared(Path("results"), Path("below/results"), [Path("schema"), Path("task")])


@pytest.mark.parametrize(
    "given",
    ["nofile.txt", "my task.TXT", "task.md", "tasks/task", "./a task", "/tmp/no file", "~/x y"],
)
def test_a_file_that_is_not_there_is_no_text(given: str) -> None:
    with pytest.raises(CommandError, match="takes a file, or the text itself") as raised:
        read_instructions(given)
    assert raised.value.exit_code == MISUSED
    assert given in str(raised.value)


@pytest.mark.parametrize(
    "given",
    ["Read it.", "Net and/or gross, dates as DD/MM/YYYY.", "As in\nnotes.txt", "x" * 5000, "a\0b"],
)
def test_a_text_is_a_text(given: str) -> None:
    assert read_instructions(given) == (given, None)


def test_a_file_is_read(place: Path) -> None:
    (place / "task").write_text("Read it.")

    assert read_instructions("task") == ("Read it.", Path("task"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "--instructions is empty"),
        (" ", "--instructions is"),
        ("task.txt", "task.txt is empty"),
    ],
)
def test_no_instructions_are_none(place: Path, given: str, words: str) -> None:
    (place / "task.txt").write_text(" \n")

    with pytest.raises(CommandError, match=words) as raised:
        read_instructions(given)
    assert raised.value.exit_code == MISUSED


def test_a_folder_is_no_text() -> None:
    with pytest.raises(CommandError, match="below cannot be read"):
        read_instructions("below")
