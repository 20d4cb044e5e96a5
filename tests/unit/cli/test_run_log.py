"""The log of a run: whose it is, and what of it counts."""

from pathlib import Path

import orjson
import pytest

from api.cli.errors import MISUSED, CommandError
from api.cli.run_log import RunLog, Upload


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl.state"


def upload(name: str, file_id: str | None) -> Upload:
    return Upload(name, f"/in/{name}", size=1, changed_ns=2, sha256="3", file_id=file_id)


def test_a_log_that_is_opened_again_says_the_same(path: Path) -> None:
    with RunLog.open(path, task="t") as log:
        log.uploaded(upload("a", "file-a"), at=0)
        log.uploaded(upload("b", None), at=10)
        batch = log.making(["file-a"])
        log.made(batch.number, "batch_1")
        log.read(batch.number, 7, at=99)
        key = log.key(1)

    with RunLog.open(path, task="t") as again:
        assert (again.uploads, again.batches) == (log.uploads, log.batches)
        assert [each.name for each in again.refused.values()] == ["b"]
        assert (again.at, again.batches[1].id, again.batches[1].after) == (99, "batch_1", 7)
        assert again.uploads["/in/a"].batch == 1
        assert again.key(1) == key


def test_a_void_batch_leaves_its_documents_and_its_number(path: Path) -> None:
    with RunLog.open(path, task="t") as log:
        log.uploaded(upload("a", "file-a"), at=0)
        log.void(log.making(["file-a"]).number)

        assert log.uploads["/in/a"].batch is None
        assert log.making(["file-a"]).number == 2


def test_a_name_that_is_too_long_is_no_custom_id() -> None:
    assert upload("a" * 256, "file-a").custom_id == "a" * 256
    assert upload("a" * 257, "file-a").custom_id == "file-a"


def test_another_task_is_not_mixed_in(path: Path) -> None:
    with RunLog.open(path, task="t") as log:
        log.uploaded(upload("a", "file-a"), at=0)
        # Whether it was made is not known: the kill came before the answer.
        log.making(["file-a"])

    with pytest.raises(CommandError, match=r"results\.jsonl holds .* another task") as raised:
        RunLog.open(path, task="another")

    assert raised.value.exit_code == MISUSED


def test_a_run_that_asked_for_nothing_keeps_nobody_out(path: Path) -> None:
    with RunLog.open(path, task="refused") as log:
        log.uploaded(upload("a", "file-a"), at=0)
        log.uploaded(upload("b", None), at=10)
        log.void(log.making(["file-a"]).number)

    with RunLog.open(path, task="corrected") as again:
        assert set(again.uploads) == {"/in/a", "/in/b"}
        # Another body under a key that was used would be refused.
        assert again.making(["file-a"]).number == 2
    RunLog.open(path, task="corrected").file.close()
    with pytest.raises(CommandError, match="another task"):
        RunLog.open(path, task="refused")


def test_two_at_once_are_one_too_many(path: Path) -> None:
    with (
        RunLog.open(path, task="t"),
        pytest.raises(CommandError, match="Another `penstock process`"),
    ):
        RunLog.open(path, task="t")


@pytest.mark.parametrize("text", ["nonsense\n", '{"a": 1}\n', "[1]\n"])
def test_what_is_no_log_is_not_taken_for_one(path: Path, text: str) -> None:
    path.write_text(text)

    with pytest.raises(CommandError, match="is no log") as raised:
        RunLog.open(path, task="t")

    assert raised.value.exit_code == MISUSED
    assert path.read_text() == text


def test_a_log_that_cannot_be_written_is_one_line(path: Path) -> None:
    path.mkdir()

    with pytest.raises(CommandError, match="cannot be written"):
        RunLog.open(path, task="t")


def test_a_first_note_that_was_cut_short_begins_anew(path: Path) -> None:
    path.write_bytes(b'{"step":"beg')

    RunLog.open(path, task="t").file.close()

    (line,) = path.read_bytes().splitlines()
    assert orjson.loads(line)["task"] == "t"
