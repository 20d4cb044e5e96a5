"""The repository keeps the house rules; and each rule sees what it is there to see."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.rules import RULES, Rule

ROOT = Path(__file__).parents[2]
LIST_FILES = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")


@pytest.fixture(scope="module")
def files() -> Sequence[Path]:
    """Return every file of the repository that exists, tracked or about to be."""
    listed = subprocess.run(LIST_FILES, cwd=ROOT, capture_output=True, check=True).stdout
    names = [Path(name) for name in listed.decode().split("\0") if name]
    return [name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_repository_keeps(rule: Rule, files: Sequence[Path]) -> None:
    assert len(files) > 100

    assert rule(ROOT, files) == []


PLANTS = [
    (rules.long_files, "api/jobs.py", "x = 1\n" * 301),
    (rules.long_files, "shared/limiter/acquire.lua", "-- a line\n" * 301),
    (rules.junk_names, "shared/utils.py", ""),
    (rules.junk_names, "shared/common/ids.py", ""),
    (rules.junk_names, "workers/lease_manager.py", ""),
    (rules.stray_commits, "shared/jobs/store.py", "async def f(db):\n    await db.commit()\n"),
    (rules.stray_sql, "api/jobs.py", "from sqlalchemy import select\n"),
    (rules.stray_sql, "workers/jobs.py", "from sqlmodel import col, update\n"),
    (rules.stray_sql, "shared/a.py", "from sqlalchemy.dialects.sqlite import insert\n"),
    (rules.stray_sql, "shared/a.py", "import sqlalchemy as sa\nq = sa.text('SELECT 1')\n"),
    (rules.stray_sql, "shared/a.py", "def f(db):\n    db.exec_driver_sql('SELECT 1')\n"),
    (rules.private_places, "docs/a.md", "cd /" + "work/main\n"),
    (rules.private_places, "docs/a.pdf", "\x93%/Producer (/" + "tmp/a/b)\n"),
    (rules.private_places, "requirements.lock", "--index-url https://pypi" + ".org/simple\n"),
    (rules.unfinished_work, "api/jobs.py", "x = 1  # TO" + "DO: more\n"),
    (rules.skipped_tests, "tests/unit/test_a.py", "@pytest.mark.sk" + "ip\ndef test(): ...\n"),
    (rules.skipped_tests, "tests/unit/test_a.py", "    pytest.sk" + "ip('no redis')\n"),
    (rules.speaking_packages, "shared/__init__.py", "from shared.ids import new_id\n"),
]


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    PLANTS,
    ids=[f"{n}-{each[0].__name__}" for n, each in enumerate(PLANTS)],
)
def test_rule_sees_what_breaks_it(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    _write(tmp_path, name, text)

    found = rule(tmp_path, [Path(name)])

    assert len(found) == 1
    assert found[0].startswith(name)


ALLOWED = [
    (rules.long_files, "api/jobs.py", "x = 1\n" * 300),
    (rules.long_files, "requirements.lock", "x\n" * 3000),
    (rules.junk_names, "shared/database.py", ""),
    (rules.stray_commits, "shared/database.py", "async def f(db):\n    await db.commit()\n"),
    (rules.stray_sql, "shared/jobs/claim_store.py", "from sqlalchemy import select\n"),
    (rules.stray_sql, "shared/jobs/model.py", "from sqlalchemy import text\n"),
    (rules.stray_sql, "api/jobs.py", "from sqlalchemy import RowMapping\nx.update(y)\n"),
    (
        rules.private_places,
        "docs/a.md",
        "see docs/framework/main.py and <https://example.org/a/b>\n",
    ),
    (rules.skipped_tests, "tests/e2e/browser.py", "    pytest.sk" + "ip('no Chromium')\n"),
    (rules.speaking_packages, "shared/__init__.py", ""),
]


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    ALLOWED,
    ids=[f"{n}-{each[0].__name__}" for n, each in enumerate(ALLOWED)],
)
def test_rule_leaves_the_rest_alone(rule: Rule, name: str, text: str, tmp_path: Path) -> None:
    _write(tmp_path, name, text)

    assert rule(tmp_path, [Path(name)]) == []


def test_every_rule_is_tried() -> None:
    assert {rule.__name__ for rule, *_ in PLANTS} == {rule.__name__ for rule in RULES}


def _write(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
