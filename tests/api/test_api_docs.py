"""docs/api.md names every operation, state, reason and error code that there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from api.job_request import JobSubmit
from api.openapi_models import JOB_EXAMPLE, Status
from api.openapi_operations import ALL
from shared.auth.permissions import Role
from shared.jobs.endpoints import Endpoint
from shared.jobs.options import JobOptions
from shared.jobs.transitions import AttemptStatus, Priority, Reason

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")
SOURCES = [
    path.read_text("utf-8")
    for folder in ("api", "shared")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
INSIDE = {"context_length_exceeded", "worker_lost", "tenant_exists", "tenant_not_found"}
"""Codes that no response has: the sandbox's own, that of an attempt, those of the command line."""


def codes() -> set[str]:
    """Return the error codes that are spelled out in the code of the API and of `shared`."""
    found = re.findall(r'\bcode="([a-z_]+)"', "\n".join(SOURCES))
    found += re.findall(r'status, code, title = \d+, "([a-z_]+)"', "\n".join(SOURCES))
    return (
        set(found)
        - INSIDE
        - {"unauthorized", "conflict", "unprocessable", "limit_exceeded", "service_unavailable"}
    )


def test_every_operation_is_there() -> None:
    written = re.findall(r"^\| \[?`([A-Z]+) (/[^`]*)`", TEXT, re.MULTILINE)

    assert sorted(written) == sorted((each.method, each.path) for each in ALL)


@pytest.mark.parametrize(
    "values", [get_args(Status), Reason, AttemptStatus, Priority, Role, Endpoint]
)
def test_every_value_is_named(values: object) -> None:
    assert [each for each in values if f"`{each}`" not in TEXT] == []  # type: ignore[attr-defined]


def test_every_error_code_is_named() -> None:
    assert len(codes()) > 20
    assert (
        sorted(code for code in codes() if f"`{code}`" not in TEXT and f" {code}`" not in TEXT)
        == []
    )


def test_every_field_of_a_submit_and_of_a_job_is_there() -> None:
    assert [each for each in JobSubmit.model_fields if f"\n| `{each}` |" not in TEXT] == []
    assert set(JobOptions.model_fields) <= set(JobSubmit.model_fields)
    assert [each for each in JOB_EXAMPLE if f'"{each}":' not in TEXT] == []


def test_every_link_inside_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= headings
    for name in set(re.findall(r"\]\(([a-z_]+\.md)\)", TEXT)):
        assert (ROOT / "docs" / name).exists(), name
