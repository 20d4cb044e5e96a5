"""The files that deploy Penstock start the same processes, and the lock covers what they need."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROCESSES = ("api", "worker", "scheduler")
SHELL_DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    composed: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    services: dict[str, Any] = composed["services"]
    return services


def test_procfile_and_compose_start_the_same_processes(services: dict[str, Any]) -> None:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    procfile = dict(line.split(": ", 1) for line in lines)

    assert tuple(procfile) == PROCESSES
    for name in PROCESSES:
        at_home = shlex.split(
            SHELL_DEFAULT.sub(r"\2", procfile[name]).replace("127.0.0.1", "0.0.0.0")
        )
        assert at_home == services[name]["command"]


def test_compose_starts_in_order_and_gives_time_to_drain(services: dict[str, Any]) -> None:
    for name in PROCESSES:
        waits_for = services[name]["depends_on"]
        assert waits_for["migrate"] == {"condition": "service_completed_successfully"}
        assert waits_for["redis"] == {"condition": "service_healthy"}
        assert services[name]["stop_grace_period"] == "40s"
        assert services[name]["volumes"] == ["data:/data"]
    assert services["worker"]["deploy"]["replicas"] == 2


def test_compose_redis_keeps_what_it_is_told(services: dict[str, Any]) -> None:
    command = " ".join(services["redis"]["command"])

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_image_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert len([line for line in lines if line.startswith("FROM ")]) == 2
    assert users == ["penstock"]
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert not any("requirements-dev" in line for line in lines)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_every_dependency_by_hash(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / lock).read_text("utf-8"))
    pinned = {entry.split("==")[0] for entry in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"]
    if "dev" in lock:
        groups = project["dependency-groups"]
        wanted = wanted + groups["build"] + [each for each in groups["dev"] if type(each) is str]

    assert all("--hash=sha256:" in entry for entry in entries)
    assert {re.split(r"[\[><=;]", each)[0] for each in wanted} <= pinned


def test_locks_agree() -> None:
    pins = [
        set(re.findall(r"^(\w[\w.-]*==\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    ]

    assert pins[0] <= pins[1]


@pytest.mark.parametrize("lock", ["tests/e2e/sdks/openai-1.lock", "bench/litellm.lock"])
def test_environments_beside_ours_are_pinned_by_hash(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / lock).read_text("utf-8"))
    wanted = (ROOT / lock).with_suffix(".in").read_text("utf-8").splitlines()

    assert all("--hash=sha256:" in entry for entry in entries)
    names = {entry.split("==")[0].split("[")[0] for entry in entries}
    assert {re.split(r"[\[><=]", line)[0] for line in wanted if line[0] != "#"} <= names
