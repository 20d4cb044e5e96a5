"""A folder becomes batches, and each document one line, wherever a run is cut short."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console
from typing_extensions import override

from api.cli import folder as folder_module
from api.cli import uploading
from api.cli.discovery import discover
from api.cli.documents import Task
from api.cli.errors import CommandError
from api.cli.folder import Run
from api.cli.meter import Meter
from api.cli.results import open_results
from api.cli.run_log import RunLog
from tests.unit.cli.bulk_service import BulkService, paths, problem

TASK = Task("Read it.", {"type": "object"}, "sandbox/reader")


class Killed(Exception):
    """Stands for kill -9."""


class MortalLog(RunLog):
    """Lets a run be killed instead of noting something."""

    left: int | None = None

    @override
    def _add(self, step: str, **facts: object) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed
        super()._add(step, **facts)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "POLL_S", 0)
    # One after the other, so that the kill finds at most one that is not noted.
    monkeypatch.setattr(uploading, "AT_ONCE", 1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path


def fill(place: Path, **contents: str) -> None:
    for name, content in contents.items():
        (place / "in" / f"{name}.txt").write_text(content)


async def work(
    service: BulkService,
    place: Path,
    *,
    batch_size: int = 100,
    retry_failed: bool = False,
    dies_at: int | None = None,
) -> None:
    """Run once; `dies_at` is the note in the log before which it is killed."""
    out = place / "results.jsonl"
    documents = discover([place / "in"]).documents
    with (
        MortalLog.open(place / "results.jsonl.state", task="t") as log,
        open_results(out, size=log.at) as results,
        Meter(Console(quiet=True), "documents") as meter,
    ):
        log.left = dies_at
        async with service.client() as client:
            await Run(client, log, results, TASK, meter).work(
                documents, batch_size=batch_size, retry_failed=retry_failed
            )


async def survives(working: Callable[[], Any]) -> bool:
    """Tell whether a run came to its end; a kill may come out of a group of tasks."""
    ended = True
    try:
        await working()
    except* Killed:
        ended = False
    return ended


def lines(place: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (place / "results.jsonl").read_bytes().splitlines()]


def by_file(place: Path) -> dict[str, dict[str, Any]]:
    every = lines(place)
    found = {line["file"]: line for line in every}
    assert len(found) == len(every)
    return found


async def test_each_document_has_its_line(place: Path) -> None:
    fill(place, a="one", b="two", c="fail", d="refuse")
    service = BulkService()

    await work(service, place)

    found = by_file(place)
    assert found["a.txt"] == {
        "file": "a.txt",
        "status": "completed",
        "data": {"text": "one"},
        "model": "sandbox/reader",
        "attempts": None,
        "usage": {"input_tokens": 3, "output_tokens": 1, "cached_tokens": 0},
        "cost_usd": "0.25",
        "ms": None,
        "job": "job_file-0",
    }
    assert found["c.txt"]["error"] == {"code": "broken_document", "message": "It ends too early."}
    assert found["d.txt"]["status"] == "refused"
    assert set(found) == {"a.txt", "b.txt", "c.txt", "d.txt"}
    (batch,) = service.batches.values()
    assert [each["custom_id"] for each in batch["asked"]["files"]] == ["a.txt", "b.txt", "c.txt"]
    assert batch["asked"]["instructions"] == "Read it."


async def test_many_documents_make_several_batches(place: Path) -> None:
    fill(place, **{f"n{number}": f"text {number}" for number in range(5)})
    service = BulkService()

    await work(service, place, batch_size=2)

    assert [len(each["lines"]) for each in service.batches.values()] == [2, 2, 1]
    assert len(by_file(place)) == 5


async def test_a_run_that_is_over_is_not_run_again(place: Path) -> None:
    fill(place, a="one", b="fail")
    service = BulkService()
    await work(service, place)
    before = lines(place)

    await work(service, place)

    assert lines(place) == before
    assert set(service.uploads.values()) == {1}
    assert len(service.batches) == 1


@pytest.mark.parametrize("dies_at", range(1, 20))
async def test_a_kill_costs_nothing(place: Path, dies_at: int) -> None:
    contents = {f"n{number}": f"text {number}" for number in range(5)}
    fill(place, **contents, r="refuse")
    service = BulkService(ended_a_look=1)

    ended = await survives(lambda: work(service, place, batch_size=3, dies_at=dies_at))
    assert ended or dies_at < 19
    await work(service, place, batch_size=3)

    assert set(by_file(place)) == {f"{name}.txt" for name in (*contents, "r")}
    assert set(service.calls.values()) == {1}
    assert sum(service.calls.values()) == len(contents)
    # An upload that was answered but not noted is the only thing that may happen again.
    assert sum(service.uploads.values()) <= len(contents) + 1


@pytest.mark.parametrize("dies_at", [None, *range(1, 9)])
async def test_what_failed_is_tried_again(place: Path, dies_at: int | None) -> None:
    fill(place, a="one", b="fail", c="two", d="refuse")
    service = BulkService()
    await work(service, place)
    assert by_file(place)["b.txt"]["status"] == "failed"
    (place / "in" / "d.txt").write_text("agreed")

    await survives(lambda: work(service, place, retry_failed=True, dies_at=dies_at))
    await work(service, place, retry_failed=True)

    found = by_file(place)
    assert {name: line["status"] for name, line in found.items()} == dict.fromkeys(
        ("a.txt", "b.txt", "c.txt", "d.txt"), "completed"
    )
    assert service.calls["file-0"] == 1
    assert service.calls["file-1"] == 2


async def test_lines_that_were_lost_are_read_again(place: Path) -> None:
    fill(place, a="one", b="two", r="refuse")
    service = BulkService()
    await work(service, place)
    (place / "results.jsonl").unlink()

    await work(service, place)

    assert set(by_file(place)) == {"a.txt", "b.txt", "r.txt"}
    assert set(service.calls.values()) == {1}


async def test_a_line_that_was_not_noted_is_cut_off(place: Path) -> None:
    fill(place, a="one", b="two")
    service = BulkService()
    await work(service, place)
    with (place / "results.jsonl").open("ab") as file:
        file.write(b'{"file": "a.txt", "sta')

    await work(service, place)

    assert len(by_file(place)) == 2


async def test_a_note_that_was_cut_short_is_left_out(place: Path) -> None:
    fill(place, a="one")
    service = BulkService()
    await work(service, place)
    with (place / "results.jsonl.state").open("ab") as file:
        file.write(b'{"step": "re')

    await work(service, place)
    await work(service, place)

    assert len(by_file(place)) == 1


async def test_new_and_changed_documents_are_read(place: Path) -> None:
    fill(place, a="one", b="two")
    service = BulkService()
    await work(service, place)
    fill(place, b="two and a half", c="three")

    await work(service, place)

    found = by_file(place)
    assert {name: line["data"]["text"] for name, line in found.items()} == {
        "a.txt": "one",
        "b.txt": "two and a half",
        "c.txt": "three",
    }
    assert service.calls["file-0"] == 1


async def test_a_document_that_was_only_touched_is_the_same(place: Path) -> None:
    fill(place, a="one")
    service = BulkService()
    await work(service, place)
    fill(place, a="one")

    await work(service, place)

    assert len(service.files) == 1


async def test_a_refused_batch_is_made_anew(place: Path) -> None:
    fill(place, a="one")
    service = BulkService()
    service.refusal = problem(404, "model_not_found", param="model")
    with pytest.raises(CommandError, match="model_not_found"):
        await work(service, place)
    service.refusal = None

    await work(service, place)

    assert by_file(place)["a.txt"]["status"] == "completed"
    assert len(service.files) == 1


async def test_files_that_are_gone_are_uploaded_again(place: Path) -> None:
    fill(place, a="one")
    service = BulkService()
    service.refusal = problem(404, "model_not_found", param="model")
    with pytest.raises(CommandError):
        await work(service, place)
    service.refusal = None
    service.files["file-9"] = service.files.pop("file-0")
    with pytest.raises(CommandError, match="file_not_found"):
        await work(service, place)

    await work(service, place)

    assert by_file(place)["a.txt"]["status"] == "completed"
    assert paths(service.asked, "POST /v1/files") == ["POST /v1/files"] * 2
