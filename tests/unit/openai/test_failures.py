"""How a job's end without an answer is told: by status, code and whether to repeat it."""

from typing import Any

import orjson
import pytest

from api.errors import problem_response
from shared.jobs.failures import failure_of
from shared.jobs.transitions import JobState, Reason
from shared.providers import errors as provider_errors
from shared.providers.errors import ProviderError


def job(state: JobState, code: str | None, **more: Any) -> dict[str, Any]:
    error = None if code is None else {"code": code, "message": f"it was {code}", **more}
    return {"id": "job_1", "state": state, "reason": Reason.REJECTED, "error": error}


def told(state: JobState, code: str | None, answer: bytes | None = None, **more: Any) -> Any:
    failure = failure_of(job(state, code, **more), answer)
    assert failure is not None
    return failure


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("bad_request", 400, "bad_request"),
        ("context_too_long", 400, "context_length_exceeded"),
        ("content_filtered", 400, "content_filter"),
        ("model_not_found", 404, "model_not_found"),
        ("auth_failed", 502, "provider_auth_failed"),
        ("malformed_response", 502, "malformed_response"),
        ("result_too_large", 502, "result_too_large"),
        ("unavailable", 502, "unavailable"),
        ("unknown_outcome", 502, "unknown_outcome"),
        ("timeout", 504, "timeout"),
        ("poison", 500, "internal_error"),
        ("deployment_not_configured", 500, "internal_error"),
        (None, 500, "internal_error"),
    ],
)
def test_a_failed_job(code: str | None, status: int, said: str) -> None:
    failure = told(JobState.FAILED, code)

    assert (failure.status, failure.code) == (status, said)
    assert failure.retry_after_s is None, "it was tried as often as it may be"
    assert failure.extra["job_id"] == "job_1"


@pytest.mark.parametrize(
    ("reason", "code", "status"),
    [
        (Reason.INVALID_DOCUMENT, "broken_document", 422),
        (Reason.INVALID_DOCUMENT, "encrypted_document", 422),
        (Reason.SCHEMA_MISMATCH, "schema_mismatch", 422),
        (Reason.POISON, "poison", 500),
    ],
)
def test_a_job_that_says_more_than_we_could(reason: Reason, code: str, status: int) -> None:
    failure = failure_of(job(JobState.FAILED, code) | {"reason": reason}, None)

    assert failure is not None
    assert (failure.status, failure.code, failure.detail) == (status, code, f"it was {code}")


@pytest.mark.parametrize(
    ("code", "status", "said", "retried"),
    [
        ("rate_limited", 503, "rate_limited", True),
        ("overloaded", 503, "overloaded", True),
        ("quota_exhausted", 503, "quota_exhausted", True),
        ("deadline", 503, "deadline", True),
        ("unavailable", 503, "deadline", True),
        ("timeout", 504, "timeout", False),
    ],
)
def test_a_job_whose_time_was_over(code: str, status: int, said: str, retried: bool) -> None:
    failure = told(JobState.EXPIRED, code)

    assert (failure.status, failure.code) == (status, said)
    if retried:
        assert 1 <= failure.retry_after_s <= 60
    else:
        assert failure.retry_after_s is None


def test_every_failure_of_a_provider_has_a_place() -> None:
    kinds = [
        each
        for each in vars(provider_errors).values()
        if isinstance(each, type) and issubclass(each, ProviderError) and each is not ProviderError
    ]

    assert len(kinds) > 10
    for kind in kinds:
        waited = kind.transient and not kind.uses_attempt
        failure = told(JobState.EXPIRED if waited else JobState.FAILED, kind.code)
        assert failure.code != "internal_error"
        assert failure.status not in {401, 403, 429}, "that would be the caller's own trouble"


def test_a_cancelled_job_is_a_conflict_that_is_not_repeated() -> None:
    failure = told(JobState.CANCELLED, "cancelled")
    response = problem_response(failure, {"path": "/v1/chat/completions"})

    assert (response.status_code, failure.code) == (409, "job_cancelled")
    assert response.headers["x-should-retry"] == "false"


def test_a_completed_job_is_no_failure() -> None:
    assert failure_of(job(JobState.COMPLETED, None), b"{}") is None


def test_the_providers_own_code_and_field_reach_the_caller() -> None:
    body = {
        "error": {"message": "no", "type": "x", "param": "messages[0]", "code": "invalid_value"}
    }

    failure = told(JobState.FAILED, "bad_request", orjson.dumps(body), http_status=400)

    assert (failure.code, failure.param, failure.status) == ("invalid_value", "messages[0]", 400)
    assert failure.detail == "it was bad_request"


@pytest.mark.parametrize(("theirs", "status"), [(422, 422), (413, 413), (429, 400), (418, 400)])
def test_a_refusal_keeps_a_status_that_says_more(theirs: int, status: int) -> None:
    assert told(JobState.FAILED, "bad_request", http_status=theirs).status == status


@pytest.mark.parametrize("answer", [None, b"null", b"oops", b"[]", b'{"error": "text"}', b"{}"])
def test_a_refusal_in_another_shape_is_told_all_the_same(answer: bytes | None) -> None:
    assert told(JobState.FAILED, "bad_request", answer).code == "bad_request"


def test_a_providers_words_about_our_key_stay_out_of_the_fields() -> None:
    body = b'{"error": {"param": "api_key", "code": "invalid_api_key"}}'

    failure = told(JobState.FAILED, "auth_failed", body)

    assert (failure.param, failure.code) == (None, "provider_auth_failed")


def test_the_field_that_is_to_blame_is_named() -> None:
    failure = told(JobState.FAILED, "unsupported_by_provider", param="messages[0]")

    assert (failure.status, failure.param) == (400, "messages[0]")
