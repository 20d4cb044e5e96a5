"""Which files of a folder are documents."""

import os
from pathlib import Path

import pytest

from api.cli.discovery import discover
from api.cli.errors import MISUSED, CommandError


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    make(tmp_path, "b.txt", "a/z.txt", "a/b/c.txt", "A.txt")

    found = discover([tmp_path])

    assert [each.name for each in found.documents] == ["A.txt", "b.txt", "a/z.txt", "a/b/c.txt"]
    assert found.skipped == []


def test_what_is_no_document_is_passed_over_and_said(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", ".hidden", ".git/config", "schema.json")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path)

    found = discover([tmp_path], beside=[tmp_path / "schema.json"])

    assert [each.name for each in found.documents] == ["a.txt"]
    assert sorted(found.skipped) == [
        ".git (hidden)",
        ".hidden (hidden)",
        "gone (no file)",
        "pipe (no file)",
        "round (a link)",
        "schema.json (part of the task)",
    ]


def test_a_file_that_is_named_twice_is_one_document(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "b.txt")

    found = discover([tmp_path / "b.txt", tmp_path, tmp_path / "a.txt"])

    assert [each.name for each in found.documents] == ["b.txt", "a.txt"]


def test_a_name_of_any_bytes_can_be_spelled(tmp_path: Path) -> None:
    make(tmp_path, os.fsdecode(b"caf\xe9.txt"), "カフェ.txt")

    names = [each.name for each in discover([tmp_path]).documents]

    assert sorted(names) == [r"caf\xe9.txt", "カフェ.txt"]
    assert all(each.identity.encode() for each in discover([tmp_path]).documents)


def test_a_name_that_is_taken_gives_way_to_the_whole_path(tmp_path: Path) -> None:
    make(tmp_path, "one/a.txt", "two/a.txt")
    one, two = discover([tmp_path / "one", tmp_path / "two"]).documents

    assert one.named({"a.txt": one.identity}).name == "a.txt"
    assert two.named({"a.txt": one.identity}).name == two.identity


@pytest.mark.parametrize(("name", "words"), [("none", "is no file"), ("empty", "no documents")])
def test_nothing_to_do_is_misuse(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(CommandError, match=words) as raised:
        discover([tmp_path / name])

    assert raised.value.exit_code == MISUSED
