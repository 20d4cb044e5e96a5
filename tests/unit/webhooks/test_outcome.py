"""What an answer means: only 2xx delivers, 410 ends it all, some ask for less."""

import pytest

from shared.webhooks.delivery import read_retry_after_s
from shared.webhooks.outcome import Judgement, Outcome, TryError, judge

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Judgement.DELIVERED),
        (202, Judgement.DELIVERED),
        (299, Judgement.DELIVERED),
        (199, Judgement.FAILED),
        (301, Judgement.FAILED),
        (304, Judgement.FAILED),
        (307, Judgement.FAILED),
        (400, Judgement.FAILED),
        (401, Judgement.FAILED),
        (404, Judgement.FAILED),
        (410, Judgement.GONE),
        (429, Judgement.THROTTLED),
        (500, Judgement.FAILED),
        (502, Judgement.THROTTLED),
        (503, Judgement.FAILED),
        (504, Judgement.THROTTLED),
        (999, Judgement.FAILED),
    ],
)
def test_a_status_is_judged(status: int, expected: Judgement) -> None:
    assert judge(Outcome(NOW, 5, status_code=status)) is expected


@pytest.mark.parametrize("error", TryError)
def test_no_answer_is_a_failure_and_a_late_one_throttles(error: TryError) -> None:
    expected = Judgement.THROTTLED if error is TryError.TIMEOUT else Judgement.FAILED

    assert judge(Outcome(NOW, 5, error=error)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Fri, 15 Jan 2027 07:59:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("1e9", None),
        ("inf", None),
        ("9" * 400, None),
        ("٣", None),
        ("Fri, 99 Jan 2027 08:01:00 GMT", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("soon", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(text: str, expected: float | None) -> None:
    assert read_retry_after_s(text, now=NOW) == expected
