"""What becomes of a job whose worker is gone."""

from typing import Any

import pytest

from shared.jobs.transitions import JobState, Reason
from workers.scheduler.rescue import verdict


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "job_1",
        "tenant_id": "ten_1",
        "version": 4,
        "webhook": None,
        "batch_id": None,
        "crashes": 0,
        "cancel_requested": False,
        "on_unknown": "retry",
        "overdue": False,
        "calling": True,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, JobState.QUEUED, Reason.RESCUED),
        ({"crashes": 1}, JobState.QUEUED, Reason.RESCUED),
        ({"crashes": 2}, JobState.FAILED, Reason.POISON),
        ({"on_unknown": "fail"}, JobState.FAILED, Reason.UNKNOWN_OUTCOME),
        ({"on_unknown": "fail", "calling": False}, JobState.QUEUED, Reason.RESCUED),
        ({"overdue": True}, JobState.EXPIRED, Reason.DEADLINE),
        ({"cancel_requested": True, "crashes": 9}, JobState.CANCELLED, Reason.CANCELLED),
    ],
)
def test_verdict(changes: dict[str, Any], state: JobState, reason: Reason) -> None:
    judged = verdict(row(**changes), quarantine_after=3)

    assert (state, reason) == (judged.state, judged.reason)
    assert judged.change.number == 5
    assert (judged.error is None) == (state is JobState.QUEUED)
