"""`penstock up` as a user has it: everything embedded, real processes, Ctrl-C."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.service import ROOT, Up, penstock
from tests.integration.cli.processes import await_that, command

pytestmark = pytest.mark.timeout(300)

SAMPLES = ROOT / "docs" / "samples"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*options: str) -> Up:
        started.append(Up(tmp_path, *options))
        return started[-1]

    yield start
    for each in started:
        each.clean_up()


def test_a_crash_is_mended_and_ctrl_c_drains(up: Callable[..., Up]) -> None:
    service = up()
    service.await_ready()
    assert service.chat("before")["status"] == "completed"

    # The worker itself, not the process of Dramatiq above it.
    worker = max(service.workers())
    os.kill(worker, signal.SIGKILL)
    await_that(lambda: "it is started again" in service.said)
    assert service.chat("after")["status"] == "completed"
    assert worker not in service.processes()

    running = hold_a_job(service, "sandbox/slow-3000ms")
    service.send(signal.SIGINT)
    assert service.end() == 0
    assert state_of(service, running) == "completed"
    assert service.processes() == []
    assert service.said.rstrip().endswith("penstock: stopped.")
    assert "Traceback" not in service.said


def test_a_redis_that_dies_is_started_again(up: Callable[..., Up]) -> None:
    service = up()
    service.await_ready()

    (redis,) = [pid for pid in service.processes() if "redis-server" in command(pid)]
    os.kill(redis, signal.SIGKILL)
    await_that(lambda: "redis has died" in service.said)
    assert service.chat("after")["status"] == "completed"

    service.send(signal.SIGTERM)
    assert service.end() == 0
    assert service.processes() == []


def test_a_second_signal_ends_it_at_once(up: Callable[..., Up]) -> None:
    service = up("--workers", "2")
    service.await_ready()
    held = hold_a_job(service, "sandbox/slow-60000ms")

    service.send(signal.SIGINT)
    await_that(lambda: "stopping" in service.said)
    service.send(signal.SIGINT)

    assert service.end() == 130
    await_that(lambda: service.processes() == [])

    # Its lease runs out, and whoever is up then has it rescued.
    assert state_of(service, held) == "running"


def test_a_killed_supervisor_leaves_no_worker_and_loses_no_job(up: Callable[..., Up]) -> None:
    service = up()
    service.await_ready()
    done = service.chat("before")

    service.process.kill()
    service.process.wait()
    await_that(lambda: [pid for pid in service.processes() if "redis" not in command(pid)] == [])

    again = up()
    again.await_ready()
    answer = httpx.get(f"{again.url}/v1/jobs/{done['id']}", headers=key(again), trust_env=False)
    assert answer.json()["result"] == done["result"]
    again.send(signal.SIGTERM)
    assert again.end() == 0
    assert again.processes() == []


def test_what_is_in_the_way_is_one_line(up: Callable[..., Up], tmp_path: Path) -> None:
    service = up()
    service.await_ready()

    refused(
        "works on the data folder",
        penstock("up", folder=tmp_path, PENSTOCK_DATA_DIR=str(service.data)),
    )
    refused(
        f"Port {service.port} on 127.0.0.1 is in use",
        penstock("up", "--port", str(service.port), folder=tmp_path),
    )
    (tmp_path / "file").touch()
    refused(
        "cannot be written",
        penstock("up", folder=tmp_path, PENSTOCK_DATA_DIR=str(tmp_path / "file" / "var")),
    )
    assert service.chat("still there")["status"] == "completed"


def test_the_other_commands_use_what_is_up(up: Callable[..., Up], tmp_path: Path) -> None:
    service = up()
    service.await_ready()
    place = {"PENSTOCK_DATA_DIR": str(service.data), "PENSTOCK_PORT": str(service.port)}

    files = [SAMPLES / name for name in ("invoice-coffee.pdf", "letter-tenancy.txt")]
    broken = SAMPLES / "broken-delivery-note.pdf"
    task = ["--instructions", str(SAMPLES / "instructions.txt"), "--model", "sandbox/reader"]
    task += ["--schema", str(SAMPLES / "schema.json")]
    first = penstock("process", *map(str, files), *task, folder=tmp_path, **place)
    assert first.returncode == 0, first.stderr
    lines = results(tmp_path)
    assert {line["file"] for line in lines} == {file.name for file in files}
    assert [line["data"]["total_amount"] for line in lines if "coffee" in line["file"]] == [580.2]

    second = penstock("process", *map(str, [*files, broken]), *task, folder=tmp_path, **place)
    assert second.returncode == 1
    assert "broken-delivery-note.pdf" in second.stdout
    jobs = {line["file"]: line["job"] for line in results(tmp_path)}
    for line in lines:
        assert jobs[line["file"]] == line["job"]

    shown = penstock("jobs", "show", lines[0]["job"], folder=tmp_path, **place)
    assert json.loads(shown.stdout)["status"] == "completed"
    assert "completed" in penstock("jobs", "list", folder=tmp_path, **place).stdout
    refused(
        "line of the batch", penstock("jobs", "retry", lines[0]["job"], folder=tmp_path, **place)
    )

    made = penstock("keys", "create", "reader", "--role", "viewer", folder=tmp_path, **place)
    viewer = {**place, "PENSTOCK_KEY": made.stdout.strip()}
    assert penstock("jobs", "list", folder=tmp_path, **viewer).returncode == 0
    refused("permission", penstock("keys", "list", folder=tmp_path, **viewer), code=2)
    revoked = penstock("keys", "revoke", made.stderr.split(",")[0], folder=tmp_path, **place)
    assert "revoked" in revoked.stdout

    doctor = penstock("doctor", folder=tmp_path, **place)
    assert doctor.returncode == 0, doctor.stdout
    assert penstock("doctor", "--live", "worker", folder=tmp_path, **place).returncode == 0
    assert penstock("doctor", "--live", "scheduler", folder=tmp_path, **place).returncode == 0


def refused(words: str, done: subprocess.CompletedProcess[str], *, code: int = 1) -> None:
    assert done.returncode == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def results(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "results.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def key(service: Up) -> dict[str, str]:
    return {"Authorization": f"Bearer {service.key}"}


def state_of(service: Up, job_id: str) -> str:
    """Return what stands in the database of a service that has ended."""
    with closing(sqlite3.connect(service.data / "penstock.db")) as database:
        (state,) = database.execute("SELECT state FROM job WHERE id = ?", [job_id]).fetchone()
    return str(state)


def hold_a_job(service: Up, model: str) -> str:
    """Submit a job that the sandbox is slow about; return its id once a worker has it in hand."""
    body = {"model": model, "messages": [{"role": "user", "content": "slow"}]}
    with httpx.Client(base_url=service.url, headers=key(service), trust_env=False) as http:
        submit = {"endpoint": "/v1/chat/completions", "body": body}
        job_id = str(http.post("/v1/jobs", json=submit).raise_for_status().json()["id"])
        await_that(lambda: http.get(f"/v1/jobs/{job_id}").json()["status"] == "running")
    return job_id
