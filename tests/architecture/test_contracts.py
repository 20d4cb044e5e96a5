"""The import contracts of pyproject.toml hold; and each of them sees what breaks it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = (sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()")

PLANTS = {
    "Front doors and workers meet only in shared": ("api/planted.py", "workers.broker"),
    "Inside shared, slices stack one way": ("shared/files/planted.py", "shared.auth.store"),
    "The API never calls a provider nor opens a document": (
        "api/planted_call.py",
        "shared.providers.registry",
    ),
    "Shared code knows no web server": ("shared/jobs/planted.py", "starlette.requests"),
    "Only shared.enqueue and the workers know Dramatiq": ("shared/auth/planted.py", "dramatiq"),
}


def test_contracts_hold() -> None:
    done = _lint(ROOT)

    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the linter says of a copy of the code with every violation planted."""
    copy = tmp_path_factory.mktemp("planted")
    for package in ("api", "workers", "shared"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, module in PLANTS.values():
        (copy / file).write_text(f"import {module}\n")
    (copy / "shared" / "unplaced.py").write_text("")
    return _lint(copy).stdout


@pytest.mark.parametrize("contract", PLANTS)
def test_contract_sees_what_breaks_it(contract: str, broken: str) -> None:
    file, module = PLANTS[contract]
    importer = file.removesuffix(".py").replace("/", ".")

    assert f"{contract} BROKEN" in broken
    assert importer in broken
    assert f"{importer} -> {module.split('.')[0]}" in broken


def test_new_slice_must_be_placed(broken: str) -> None:
    assert "- shared.unplaced" in broken


def test_every_contract_is_tried() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]

    assert {each["name"] for each in contracts} == set(PLANTS)


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LINT, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
