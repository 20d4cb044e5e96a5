"""What the service refuses ends a bulk command: by the exit code it shows whether anything was done."""

import asyncio
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from typing_extensions import override

from api.cli import batch_submit, process
from api.cli import folder as folder_module
from api.cli.client import Client, RefusedError
from api.cli.errors import FAILED, MISUSED, CommandError
from tests.unit.cli.bulk_service import BulkService, problem


class SlowToAnswer(BulkService):
    """Takes its time when it is asked for a batch."""

    @override
    def client(self) -> Client:
        async def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/batches":
                await asyncio.sleep(0.1)
            return self(request)

        return Client("http://127.0.0.1:1", "pk_x", transport=httpx.MockTransport(answer))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> BulkService:
    service = SlowToAnswer()
    monkeypatch.setattr(folder_module, "POLL_S", 0)
    for command in (process, batch_submit):
        monkeypatch.setattr(command, "connect", lambda *_: service.client())
    return service


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> process.Order:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.txt").write_text(f"text {number}")
    (tmp_path / "schema.json").write_text("{}")
    return process.Order(
        named=[Path("in")],
        instructions="Read it.",
        schema=Path("schema.json"),
        model="sandbox/reader",
        out=Path("results.jsonl"),
        table=None,
        batch_size=1,
        retry_failed=False,
    )


@pytest.mark.parametrize(
    ("taken_before", "code"), [(0, MISUSED), (1, FAILED)], ids=["at once", "later"]
)
def test_a_task_that_is_refused(
    service: BulkService, order: process.Order, taken_before: int, code: int
) -> None:
    service.refusal = problem(400, "invalid_schema", param="schema")
    service.taken_before = taken_before

    with pytest.raises(RefusedError, match="invalid_schema") as raised:
        process.run(order, url=None, key=None)

    assert raised.value.exit_code == code


def test_a_refused_start_does_not_stand_in_the_way(
    service: BulkService, order: process.Order
) -> None:
    service.refusal = problem(404, "model_not_found", param="model")
    with pytest.raises(RefusedError):
        process.run(order, url=None, key=None)
    # Until the first batch is taken no other is asked for: nobody would know what became of it.
    assert len(service.files) == 1
    service.refusal = None

    assert process.run(replace(order, model="sandbox/echo"), url=None, key=None) == 0

    assert len(order.out.read_bytes().splitlines()) == 3
    assert set(service.uploads.values()) == {1}


@pytest.mark.parametrize("out", ["in/0.txt", "other.jsonl"])
def test_what_no_run_has_written_is_not_written_over(
    service: BulkService, order: process.Order, out: str
) -> None:
    Path(out).write_text("nobody's results")

    with pytest.raises(CommandError, match="name another --out") as raised:
        process.run(replace(order, out=Path(out)), url=None, key=None)

    assert raised.value.exit_code == MISUSED
    assert Path(out).read_text() == "nobody's results"
    assert service.files == {}


def test_a_file_whose_batch_is_refused_is_not_left(service: BulkService, tmp_path: Path) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text("{}")
    service.refusal = problem(400, "invalid_field", param="completion_window")

    with pytest.raises(RefusedError) as raised:
        batch_submit.run(lines, {}, dry_run=False, watch=False, url=None, key=None)

    assert raised.value.exit_code == MISUSED
    assert service.files == {}
