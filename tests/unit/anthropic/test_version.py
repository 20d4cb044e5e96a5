"""`anthropic-version`: what each one refuses."""

from typing import Any

import pytest
from starlette.requests import Request

from api.anthropic.version import BETAS, Version, check, version_of, with_betas
from shared.errors import BadRequest

HELLO = {"role": "user", "content": "hello"}


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named})


def test_known_versions_are_read_and_none_is_the_first() -> None:
    assert version_of(request()) is Version.FIRST
    assert version_of(request(anthropic_version="2023-06-01")) is Version.FIRST
    assert version_of(request(anthropic_version=" 2026-10-21 ")) is Version.SECOND


def test_an_unknown_version_is_told_the_known_ones() -> None:
    with pytest.raises(BadRequest) as caught:
        version_of(request(anthropic_version="2024-01-01"))

    assert "2024-01-01" in caught.value.detail
    assert all(version in caught.value.detail for version in Version)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 1.0}, "temperature"),
    ({"top_p": 0.5}, "top_p"),
    ({"top_k": 0}, "top_k"),
    (
        {"messages": [HELLO, {"role": "assistant", "content": [{"type": "document"}]}]},
        "messages[1].content[0]",
    ),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}
            ]
        },
        "messages[0].content[0].citations",
    ),
]


@pytest.mark.parametrize(("body", "param"), REFUSED)
def test_the_second_refuses_what_the_first_took(body: dict[str, Any], param: str) -> None:
    check(Version.FIRST, body)
    with pytest.raises(BadRequest) as caught:
        check(Version.SECOND, body, at="requests.3.params.")

    assert caught.value.param == f"requests.3.params.{param}"
    assert str(Version.SECOND) in caught.value.detail


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [HELLO], "temperature": None},
        {"messages": [{"role": "user", "content": [{"type": "document"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "citations": []}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "text", "citations": [{}]}]}]},
        {"messages": [7, {"content": 7}, {"content": [7]}]},
        {"messages": "nonsense"},
    ],
)
def test_the_second_lets_everything_else_through(body: dict[str, Any]) -> None:
    check(Version.SECOND, body)


def test_betas_are_named_in_the_body() -> None:
    assert with_betas(request(), {"a": 1}) == {"a": 1}
    assert with_betas(request(anthropic_beta="b-1, c-2,,b-1"), {"a": 1}) == {
        "a": 1,
        BETAS: ["b-1", "c-2"],
    }
    for wrong in ("a b", "x" * 65, ",".join(f"a{n}" for n in range(33))):
        with pytest.raises(BadRequest, match="anthropic-beta"):
            with_betas(request(anthropic_beta=wrong), {})
