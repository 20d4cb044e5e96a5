"""What `penstock jobs watch` shows of a job that said nothing while it was watched."""

from typing import Any

import pytest

from api.cli.watch import Screen, answer_in

CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}}]}


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (CHAT, "Hello"),
        ({"object": "document.result", "data": {"total": 5}}, '{\n  "total": 5\n}'),
        ({"choices": [{"message": {"content": None}}]}, ""),
        ({"object": "list", "data": []}, ""),
    ],
)
def test_what_a_person_wants_to_read_of_a_result(result: dict[str, Any], text: str) -> None:
    assert answer_in(result) == text


def test_the_answer_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.show_answer("all of it")
    screen.show_answer("all of it")

    assert capsys.readouterr().out == "all of it\n"
