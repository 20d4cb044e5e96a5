"""Tokens for pages: of one job, for a while, and not to be forged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.tokens import FRESH_MS, RESUMES_MS, EventToken, read_token, write_token
from shared.errors import Unauthenticated

KEY, NOW = b"k" * 32, 1_000_000
TOKEN = EventToken("ten_1", "key_1", "job_1", NOW + FRESH_MS)
TEXT = write_token(KEY, TOKEN)


def read(text: str, *, at: int = NOW, resumes: bool = False, job_id: str = "job_1") -> EventToken:
    return read_token(KEY, text, job_id=job_id, resumes=resumes, now_ms=at)


def test_what_is_written_is_read() -> None:
    assert read(TEXT) == TOKEN
    assert TEXT.isascii()
    assert not set(TEXT) & set("&?=#+/ %")


@pytest.mark.parametrize(
    ("at", "resumes", "good"),
    [
        (NOW + FRESH_MS - 1, False, True),
        (NOW + FRESH_MS, False, False),
        (NOW + FRESH_MS, True, True),
        (NOW + FRESH_MS + RESUMES_MS - 1, True, True),
        (NOW + FRESH_MS + RESUMES_MS, True, False),
    ],
)
def test_it_grows_old(at: int, resumes: bool, good: bool) -> None:
    if good:
        assert read(TEXT, at=at, resumes=resumes) == TOKEN
    else:
        with pytest.raises(Unauthenticated, match="too old"):
            read(TEXT, at=at, resumes=resumes)


def test_it_is_of_one_job() -> None:
    with pytest.raises(Unauthenticated, match="another job"):
        read(TEXT, job_id="job_2")


def test_another_server_does_not_know_it() -> None:
    with pytest.raises(Unauthenticated, match="not an event token"):
        read_token(b"x" * 32, TEXT, job_id="job_1", resumes=False, now_ms=NOW)


@given(st.text() | st.integers(0, len(TEXT) - 1).map(lambda at: TEXT[:at] + "~" + TEXT[at + 1 :]))
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read(text)
