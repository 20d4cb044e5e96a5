"""What is counted, and that no label can grow without bound."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import values

from shared.clock import now_ms
from shared.jobs.transitions import JobState, Priority
from shared.routing.model import Deployment
from shared.telemetry import metrics, multiprocess
from shared.telemetry.labels import deployment_label, method_label
from shared.telemetry.totals import totals


class Counted:
    """Reads what was counted in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, **labels: str) -> float:
        for metric in totals(self._folder):
            for sample in metric.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    before = values.ValueClass
    multiprocess.share(tmp_path)
    yield Counted(tmp_path)
    values.ValueClass = before


def job(
    rank: int = 1, *, claims: int = 1, age_s: float = 0, due_s: float | None = None
) -> SimpleNamespace:
    now = now_ms()
    return SimpleNamespace(
        priority=rank,
        claim_number=claims,
        created_at=now - round(age_s * 1000),
        scheduled_at=None if due_s is None else now - round(due_s * 1000),
    )


def test_time_in_queue_is_that_before_the_first_claim(counted: Counted) -> None:
    worker = metrics.WorkerMetrics()
    worker.claimed([job(0, age_s=2), job(1, claims=2, age_s=9000)], asked=5)
    assert counted("penstock_queue_wait_seconds_count", priority="interactive") == 1
    assert counted("penstock_queue_wait_seconds_count", priority="standard") == 0
    assert counted("penstock_queue_wait_seconds_sum", priority="interactive") == pytest.approx(
        2, abs=1
    )
    assert counted("penstock_claims_total", outcome="won") == 2
    assert counted("penstock_claims_total", outcome="missed") == 3
    assert counted("penstock_claim_jobs_sum") == 2


def test_a_scheduled_job_waits_from_its_time(counted: Counted) -> None:
    metrics.WorkerMetrics().claimed([job(2, age_s=7200, due_s=1)], asked=1)
    assert counted("penstock_queue_wait_seconds_sum", priority="bulk") == pytest.approx(1, abs=1)


def test_calls_by_deployment_and_status(counted: Counted) -> None:
    worker = metrics.WorkerMetrics()
    own = Deployment("gpt-eu", "openai", "gpt-4o")
    for name in ("a", "b"):
        ad_hoc = Deployment(f"sandbox/{name}", "sandbox", name)
        worker.called(ad_hoc, [SimpleNamespace(status="ok", total_ms=250, first_token_ms=40)])
    worker.called(own, [SimpleNamespace(status="error", total_ms=None, first_token_ms=None)])
    assert counted("penstock_attempts_total", deployment="sandbox/*", status="ok") == 2
    assert counted("penstock_call_seconds_sum", deployment="sandbox/*") == 0.5
    assert counted("penstock_attempts_total", deployment="gpt-eu", status="error") == 1
    assert counted("penstock_call_seconds_count", deployment="gpt-eu") == 0
    assert counted("penstock_first_token_seconds_sum", deployment="sandbox/*") == 0.08
    assert counted("penstock_first_token_seconds_count", deployment="gpt-eu") == 0
    worker.denied(own, "tokens")
    assert counted("penstock_limiter_denials_total", deployment="gpt-eu", bucket="tokens") == 1


def test_ends_waits_and_lost_claims_are_told_apart(counted: Counted) -> None:
    worker = metrics.WorkerMetrics()
    worker.job_left(SimpleNamespace(state=JobState.COMPLETED, reason=None), kept=True)
    worker.job_left(SimpleNamespace(state=JobState.FAILED, reason="rejected"), kept=True)
    worker.job_left(SimpleNamespace(state=JobState.QUEUED, reason="rate_limited"), kept=True)
    worker.job_left(SimpleNamespace(state=JobState.COMPLETED, reason=None), kept=False)
    assert counted("penstock_jobs_ended_total", state="completed", reason="") == 1
    assert counted("penstock_jobs_ended_total", state="failed", reason="rejected") == 1
    assert counted("penstock_jobs_requeued_total", reason="rate_limited") == 1
    assert counted("penstock_claims_lost_total") == 1


def test_what_ends_without_a_worker_is_counted_with_the_rest(counted: Counted) -> None:
    scheduler = metrics.SchedulerMetrics()
    scheduler.reclaimed(
        [
            SimpleNamespace(state=JobState.QUEUED, reason="rescued"),
            SimpleNamespace(state=JobState.FAILED, reason="poison"),
        ]
    )
    scheduler.expired(3)
    metrics.ApiMetrics().cancelled()
    assert counted("penstock_leases_reclaimed_total", state="queued") == 1
    assert counted("penstock_leases_reclaimed_total", state="failed") == 1
    assert counted("penstock_jobs_ended_total", state="failed", reason="poison") == 1
    assert counted("penstock_jobs_ended_total", state="expired", reason="deadline") == 3
    assert counted("penstock_jobs_ended_total", state="cancelled", reason="cancelled") == 1


def test_a_request_without_an_answer_counts_as_closed_by_the_client(counted: Counted) -> None:
    metrics.ApiMetrics().answered("GET", "/v1/jobs/{job_id}", 0, 1.5)
    labels = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert counted("penstock_http_requests_total", **labels, status="499") == 1
    assert counted("penstock_http_request_seconds_sum", **labels) == 1.5


def test_labels_that_strangers_choose_are_few() -> None:
    assert method_label("GET") == "GET"
    assert method_label("BREW") == "other"
    assert deployment_label(Deployment("openai/gpt-9", "openai", "gpt-9")) == "openai/*"
    assert deployment_label(Deployment("mine/gpt-9", "openai", "gpt-9")) == "mine/gpt-9"


def test_ranks_have_the_names_of_the_priorities() -> None:
    assert list(metrics.PRIORITIES) == [each.value for each in Priority]
    assert [Priority.of_rank(rank) for rank in range(3)] == list(metrics.PRIORITIES)
    assert metrics.QUEUED == JobState.QUEUED
