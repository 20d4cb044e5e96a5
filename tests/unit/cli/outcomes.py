"""Outcomes as the service gives them."""

from pathlib import Path
from typing import Any

from api.cli.documents import Outcome


def completed(name: str, data: Any) -> Outcome:
    """Return a document with its answer, made in 1.5 s."""
    job: dict[str, Any] = {
        "id": "job_1",
        "model": "sandbox/reader",
        "status": "completed",
        "status_reason": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:01.500Z",
        "attempts": [{"number": 1}],
        "usage": {"input_tokens": 90, "output_tokens": 10, "cached_tokens": 0},
        "cost_usd": "0.000123",
        "result": {"status_code": 200, "body": {"data": data}},
        "error": None,
    }
    return Outcome(Path("in") / name, "completed", job, None)


def failed(name: str, reason: str, code: str) -> Outcome:
    """Return a document that failed."""
    error = {"code": code, "message": "It ends too early."}
    job: dict[str, Any] = {
        "id": "job_2",
        "model": "sandbox/reader",
        "status": "failed",
        "status_reason": reason,
        "created_at": "2026-01-01T00:00:00.000Z",
        "finished_at": "2026-01-01T00:00:00.250Z",
        "attempts": [],
        "usage": None,
        "cost_usd": None,
        "result": None,
        "error": error,
    }
    return Outcome(Path("in") / name, "failed", job, error)
