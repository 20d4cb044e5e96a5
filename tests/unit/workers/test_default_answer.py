"""When a route's own answer takes the place of a wait."""

from dataclasses import replace

import pytest

from shared.jobs.claims import ClaimEnd
from shared.jobs.transitions import JobState, Priority, Reason
from tests.unit.workers.test_retry import JOB
from workers.attempt.default_answer import _is_in_vain
from workers.attempt.hold import Hold


@pytest.mark.parametrize(
    ("priority", "reason", "delay_ms", "in_vain"),
    [
        (Priority.INTERACTIVE, Reason.PROVIDER_DOWN, 5000, True),
        (Priority.INTERACTIVE, Reason.BACKOFF, 1500, True),
        (Priority.INTERACTIVE, Reason.BACKOFF, 800, False),
        (Priority.INTERACTIVE, Reason.RATE_LIMITED, 5000, False),
        (Priority.INTERACTIVE, Reason.CONCURRENCY, 5000, False),
        (Priority.INTERACTIVE, Reason.INTERRUPTED, 0, False),
        (Priority.STANDARD, Reason.PROVIDER_DOWN, 5000, False),
        (Priority.STANDARD, Reason.PROVIDER_DOWN, 60_000, True),
        (Priority.STANDARD, Reason.RATE_LIMITED, 60_000, True),
    ],
)
def test_a_wait_in_vain(priority: Priority, reason: Reason, delay_ms: int, in_vain: bool) -> None:
    held = Hold(replace(JOB, priority=priority.rank, time_left_ms=30_000))
    end = ClaimEnd(held.job, JobState.QUEUED, reason, delay_ms=delay_ms)

    assert _is_in_vain(end, held) is in_vain
