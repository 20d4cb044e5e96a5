"""A folder of two hundred documents through `penstock process`: killed, interrupted, run to its end."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.service import ROOT, Up, environment, penstock
from tests.fakes.upstream_client import Upstream, rule
from tests.integration.cli.processes import await_that

pytestmark = pytest.mark.timeout(300)

SAMPLES = ROOT / "docs" / "samples"
OFFICE = ("*.docx", "*.xlsx", "*.pptx", "*.pdf")
BROKEN = "broken-delivery-note.pdf"
DOCUMENTS = 200
MODEL = "gpt-folder"
CONFIG = """\
[[deployments]]
name = "{model}"
provider = "openai-compatible"
model = "{model}"
base_url = "{base_url}"
keys = ["sk-folder"]
concurrency = 128
price = {{ input_usd = 1.0, output_usd = 2.0 }}
"""
SCHEMA = {
    "type": "object",
    "properties": {"sender": {"type": "string"}, "total": {"type": "number"}},
    "required": ["sender", "total"],
    "additionalProperties": False,
}
WRITTEN = {
    "txt": "Invoice {n}\nFrom: Quayside Boats\nTotal: {n}.50 EUR\n",
    "md": "# Invoice {n}\n\n| what | price |\n|---|---|\n| rope | {n}.50 |\n",
    "html": "<html><body><h1>Invoice {n}</h1><p>Total: {n}.50 EUR</p></body></html>",
    "csv": "what,price\nrope,{n}.50\nInvoice {n},\n",
    "eml": "From: a@example.org\nTo: b@example.org\nSubject: Invoice {n}\n\nTotal: {n}.50 EUR\n",
}
REASONS = {"unknown", "interrupted", "error"}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The provider, of these tests alone: its ledger is theirs."""
    ledger = tmp_path_factory.mktemp("provider") / "ledger.jsonl"
    with Upstream(ledger, latency_ms=20) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Up]:
    """`penstock up`, of these tests alone."""
    place = tmp_path_factory.mktemp("service")
    (place / "penstock.toml").write_text(CONFIG.format(model=MODEL, base_url=upstream.base_url))
    up = Up(place)
    try:
        up.await_ready()
        yield up
    finally:
        up.clean_up()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred documents of many kinds, one of them broken, one empty; and one that is hidden."""
    made = tmp_path / "letters"
    (made / "office").mkdir(parents=True)
    for pattern in OFFICE:
        for sample in SAMPLES.glob(pattern):
            shutil.copy(sample, made / "office")
    (made / "empty.txt").touch()
    (made / ".hidden").write_text("nobody reads me")
    number = 0
    while len(names_in(made)) < DOCUMENTS:
        for kind, text in WRITTEN.items():
            below = made / f"{number % 7}"
            below.mkdir(exist_ok=True)
            if len(names_in(made)) < DOCUMENTS:
                (below / f"note-{number}.{kind}").write_text(text.format(n=number))
        number += 1
    return made


def names_in(folder: Path) -> set[str]:
    files = (each for each in folder.rglob("*") if each.is_file() and each.name[0] != ".")
    return {each.relative_to(folder).as_posix() for each in files}


def command(place: Path, service: Up) -> list[str]:
    """Return the arguments of the command, the same for each run of it."""
    (place / "schema.json").write_text(json.dumps(SCHEMA))
    task = ["--instructions", "Read it.", "--schema", "schema.json", "--model", MODEL]
    where = ["--out", "results.jsonl", "--csv", "results.csv"]
    return ["process", "letters", *task, *where, "--url", service.url, "--key", service.key]


def start(arguments: list[str], place: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *arguments],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupt(arguments: list[str], place: Path) -> str:
    """Start the command, press Ctrl-C once it is at work, and return what it says to that."""
    running = start(arguments, place)
    try:
        assert running.stdout is not None
        assert "passed over" in running.stdout.readline()
        # It has found the batch that is running; nothing can end meanwhile.
        assert "documents: " in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        try:
            _, said = running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            # On a machine at work it may take its time, and people press it once more.
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130, said
    return said


def kill_when(arguments: list[str], place: Path, log: str, pattern: bytes, times: int) -> None:
    """Start the command, and kill it without warning once its files say something so often."""
    running = start(arguments, place)
    path = place / log

    def far_enough() -> bool:
        said = path.read_bytes() if path.exists() else b""
        return running.poll() is not None or len(re.findall(pattern, said)) >= times

    try:
        await_that(far_enough, 60)
        assert running.poll() is None, "it ended before it was killed"
    finally:
        running.kill()
        running.communicate()


def lines(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "results.jsonl").read_bytes().splitlines()]


def test_a_folder_is_read_once(
    tmp_path: Path, service: Up, upstream: Upstream, folder: Path
) -> None:
    arguments = command(tmp_path, service)
    expected = names_in(folder)
    assert len(expected) == DOCUMENTS

    # Until the gate opens no run can come to its end.
    upstream.script(rule("gate", marker=".eml"))
    kill_when(arguments, tmp_path, "results.jsonl.state", rb'"step":"upload"', 60)
    kill_when(arguments, tmp_path, "results.jsonl", rb'"status":"completed"', DOCUMENTS // 2)
    said = interrupt(arguments, tmp_path)
    assert "The same command goes on" in said
    assert "penstock batch cancel batch_" in said
    upstream.clear()
    upstream.release()
    done = penstock(*arguments, folder=tmp_path)

    assert "Traceback" not in said + done.stderr
    found = {line["file"]: line for line in lines(tmp_path)}
    assert len(lines(tmp_path)) == DOCUMENTS
    assert set(found) == expected
    failed = {name for name, line in found.items() if line["status"] != "completed"}
    assert failed == {f"office/{BROKEN}", "empty.txt"}, [found[name] for name in failed]
    # Some have not been read: the exit code and the summary say so.
    assert done.returncode == 1
    assert "198 of 200 documents were read" in done.stdout
    assert ".hidden (hidden)" in done.stdout
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == expected
    assert sum(row["sender"] != "" for row in rows) == DOCUMENTS - 2

    with client(service) as http:
        assert_called_once(http, upstream, found)
        batches = http.get("/v1/batches").json()["data"]
        assert [each["request_counts"]["total"] for each in batches] == [DOCUMENTS]
        uploads = http.get("/v1/files", params={"purpose": "user_data"}).json()["data"]
        twice = Counter(each["filename"] for each in uploads)
        # Only an upload that the kill cut off from its note may be there twice.
        assert DOCUMENTS <= sum(twice.values()) <= DOCUMENTS + 16

    # What failed fails again; and what is over is asked of nobody.
    again = penstock(*arguments, "--retry-failed", folder=tmp_path)
    assert again.returncode == 1
    assert len(lines(tmp_path)) == DOCUMENTS
    calls = Counter(each["marker"] for each in upstream.calls())
    assert penstock(*arguments, folder=tmp_path).returncode == 1
    assert Counter(each["marker"] for each in upstream.calls()) == calls


def test_a_folder_without_a_fault(tmp_path: Path, service: Up, upstream: Upstream) -> None:
    (tmp_path / "letters").mkdir()
    for number in range(5):
        (tmp_path / "letters" / f"note-{number}.txt").write_text(WRITTEN["txt"].format(n=number))

    done = penstock(*command(tmp_path, service), "--batch-size", "2", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "5 of 5 documents were read" in done.stdout
    with client(service) as http:
        batches = http.get("/v1/batches").json()["data"]
    assert sorted(each["request_counts"]["total"] for each in batches[:3]) == [1, 2, 2]


def client(service: Up) -> httpx.Client:
    headers = {"Authorization": f"Bearer {service.key}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False)


def assert_called_once(
    http: httpx.Client, upstream: Upstream, found: dict[str, dict[str, Any]]
) -> None:
    """Hold the provider's own ledger against what the service says of each document."""
    named = re.compile(r'<document name="([^"]+)"')
    calls: Counter[str] = Counter()
    for call in upstream.calls():
        match = named.search(call["marker"])
        assert match, call
        calls[match[1]] += 1
    for name, line in found.items():
        called = calls[Path(name).name]
        assert called >= (line["status"] == "completed"), name
        if called > 1:
            attempts = http.get(f"/v1/jobs/{line['job']}").json()["attempts"]
            reasons = [each["status"] for each in attempts if each["status"] in REASONS]
            assert len(reasons) >= called - 1, (name, called, attempts)
