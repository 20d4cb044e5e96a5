"""`penstock demo` as `make demo` runs it: the whole product in one command, and nothing left of it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import ROOT, environment, penstock
from tests.integration.cli.processes import await_that, find

pytestmark = pytest.mark.timeout(300)

SAMPLES = ROOT / "docs" / "samples"
NO_DOCUMENTS = {"schema.json", "instructions.txt"}


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A folder for temporary files of its own: what is left in it was left by the demo."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return {"TMPDIR": str(folder)}


def left_in(place: dict[str, str]) -> list[str]:
    return [each.name for each in Path(place["TMPDIR"]).iterdir()]


def test_the_demo(tmp_path: Path, place: dict[str, str]) -> None:
    done = penstock("demo", folder=tmp_path, **place)

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    by_file = {line["file"]: line for line in lines}
    expected = {
        each.name
        for each in SAMPLES.iterdir()
        if each.is_file() and each.suffix != ".py" and each.name not in NO_DOCUMENTS
    }
    assert len(expected) >= 12
    assert set(by_file) == expected
    assert len(lines) == len(expected)
    broken = {name for name in expected if name.startswith("broken-")}
    for name in expected - broken:
        assert by_file[name]["status"] == "completed"
        assert by_file[name]["usage"]["input_tokens"] > 0
        assert by_file[name]["ms"] >= 0
    for name in broken:
        assert by_file[name]["status"] == "failed"
        assert by_file[name]["error"]["message"] in done.stdout
    assert by_file["invoice-coffee.pdf"]["data"]["total_amount"] == 580.2
    assert by_file["letter-kyoto.pdf"]["data"]["sender"].startswith("鴨川旅館")

    for words in (*expected, "sandbox/reader", "Tidewater", "580.2", "attempts", "tokens", "cost"):
        assert words in done.stdout
    assert "no language model" in done.stdout
    told = f"{len(expected)} of {len(expected)} documents were announced by a webhook"
    assert told in " ".join(done.stdout.split())
    assert "job.delta ×" in done.stdout
    assert "job.completed × 1" in done.stdout
    assert "no drop of it is lost" in done.stdout
    assert find(place["TMPDIR"]) == []
    assert left_in(place) == []


def test_documents_and_model_of_ones_own(tmp_path: Path, place: dict[str, str]) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "note.txt").write_text("Invoice\nFrom: Quayside Boats\nTotal: 12.50 EUR\n")
    (folder / "broken-not.txt").write_text("This one is as whole as can be.\n")

    done = penstock("demo", "--documents", str(folder), "--keep", folder=tmp_path, **place)

    # What is called broken and is not is no success either.
    assert done.returncode == 1
    assert "Quayside Boats" in done.stdout
    (kept,) = left_in(place)
    assert kept in done.stdout
    assert find(place["TMPDIR"]) == []


def test_a_model_that_nobody_serves_is_told(tmp_path: Path, place: dict[str, str]) -> None:
    done = penstock("demo", "--model", "openai/gpt-4o-mini", folder=tmp_path, **place)

    assert done.returncode == 2
    assert "No model `openai/gpt-4o-mini`" in done.stderr
    assert "Traceback" not in done.stderr
    assert find(place["TMPDIR"]) == []
    assert left_in(place) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path, place: dict[str, str]) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "api.cli", "demo"],
        cwd=tmp_path,
        env=environment(**place),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        await_that(lambda: [pid for pid in find(place["TMPDIR"]) if is_worker(pid)], 60)
        os.killpg(demo.pid, signal.SIGINT)
        said, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()

    assert demo.returncode == 130
    assert b"Traceback" not in said
    assert find(place["TMPDIR"]) == []
    assert left_in(place) == []


def is_worker(pid: int) -> bool:
    return "dramatiq" in Path(f"/proc/{pid}/cmdline").read_text()
