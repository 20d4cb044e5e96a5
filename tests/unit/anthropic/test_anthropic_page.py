"""docs/anthropic.md tells the truth about statuses, types, calls and limits."""

import re
from pathlib import Path

import pytest

from api.anthropic import batch_intake, batches, messages, pages
from api.anthropic.version import Version
from api.surfaces import anthropic_error
from shared.errors import PenstockError

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "anthropic.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([\d, ]+) \| `(\w+)` \| `\w+` \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("statuses", "kind"), ROWS)
def test_every_status_has_its_type(statuses: str, kind: str) -> None:
    for status in map(int, statuses.split(",")):
        error = PenstockError("It failed.")
        error.status = status
        assert anthropic_error(error, None)["error"]["type"] == kind


def test_all_statuses_are_there() -> None:
    assert len(ROWS) == 11


def test_every_path_is_there() -> None:
    for route in (*messages.routes, *batches.routes):
        path = route.path.replace("{message_batch_id}", "{id}")
        (method,) = (route.methods or set()) - {"HEAD"}
        assert f"`{method} {path}" in TEXT, path


def test_limits_and_versions_are_there() -> None:
    assert f"{batch_intake.MOST_REQUESTS:,} requests" in TEXT
    assert f"{batch_intake.MOST_BYTES // 1024**2} MB" in TEXT
    assert f"1 to {pages.MAX_LIMIT}, {pages.DEFAULT_LIMIT} if not given" in TEXT
    assert all(f"`{version}`" in TEXT for version in Version)
