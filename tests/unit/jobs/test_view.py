"""A job as the API shows it."""

from typing import Any

import pytest

from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.rows import job_row
from shared.jobs.transitions import JobState
from shared.jobs.view import Place, public_job, status_of, usd


def row(**changes: Any) -> dict[str, Any]:
    draft = JobDraft("ten_1", Endpoint.CHAT, "m", b"{}", 2, 1_767_225_600_123, 1_767_312_000_000)
    return {**job_row("job_1", draft), **changes}


def attempt(generation: int, **changes: Any) -> dict[str, Any]:
    return {
        "generation": generation,
        "deployment": "d",
        "status": "ok",
        "http_status": 200,
        "error_code": None,
        "error_message": None,
        "started_at": 1,
        "limiter_wait_ms": 0,
        "first_token_ms": None,
        "total_ms": 5,
        "input_tokens": 9,
        "output_tokens": 3,
        "cached_tokens": 0,
        "cost_nanousd": 123_000,
        "possibly_billed": False,
        "dropped": None,
        **changes,
    }


def test_a_row_just_stored_can_be_shown() -> None:
    shown = public_job(row())

    assert shown["status"] == "queued"
    assert shown["created_at"] == "2026-01-01T00:00:00.123Z"
    assert shown["usage"] is None
    assert shown["cost_usd"] is None


def test_queued_with_a_time_is_waiting() -> None:
    assert status_of(row(not_before=5)) == "waiting"
    assert status_of(row(state=JobState.SCHEDULED, not_before=5)) == "scheduled"


def test_attempts_are_those_of_the_generation_and_numbered_from_one() -> None:
    shown = public_job(row(generation=2), attempts=[attempt(1), attempt(2), attempt(2)])

    assert [each["number"] for each in shown["attempts"]] == [1, 2]


def test_a_failed_attempt_shows_its_error() -> None:
    failed = attempt(1, error_code="overloaded", error_message="busy", input_tokens=None)

    shown = public_job(row(), attempts=[failed])["attempts"][0]

    assert shown["error"] == {"code": "overloaded", "message": "busy"}
    assert shown["usage"] is None


def test_a_place_is_shown() -> None:
    shown = public_job(row(), place=Place(12, 3.4))

    assert shown["queue"] == {"position": 12, "eta_s": 3.4}


@pytest.mark.parametrize(
    ("nano", "text"),
    [(None, None), (0, "0"), (123_000, "0.000123"), (1, "0.000000001"), (25_000_000_000, "25")],
)
def test_money_is_spelled_without_an_exponent(nano: int | None, text: str | None) -> None:
    assert text == usd(nano)
