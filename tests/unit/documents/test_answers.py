import pytest

from shared.documents.answers import AnswerError, parse_answer

# What is held here took minutes; it is no measure.
pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        (" 3 ", 3),
        ('"x"', "x"),
    ],
)
def test_good_json_is_not_repaired(text: str, value: object) -> None:
    assert parse_answer(text) == (value, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('Here you are: {"a": 1,} Enjoy!', {"a": 1}),
        ("{'a': 'b'}", {"a": "b"}),
        ('{"a": "he said "hi" to me"}', {"a": 'he said "hi" to me'}),
        ('{"a": [1, 2', {"a": [1, 2]}),
        ('{"a": NaN}', {"a": None}),
    ],
)
def test_json_with_usual_faults_is_repaired(text: str, value: object) -> None:
    assert parse_answer(text) == (value, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I could not find anything.",
        '{"a": 1} {"b": 2}',
        'First {"a": 1}. Then {"b": 2}.',
        "[" * 3000,
        '{"a":' * 3000,
        '{"a": "\\ud800"}',
        "{" + "'x' " * 100_000,
    ],
)
def test_what_would_have_to_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse_answer(text)


@pytest.mark.parametrize("filler", ["\n", " ", "\n```", "\t\n"])
def test_a_fence_that_never_closes_takes_no_time(filler: str) -> None:
    with pytest.raises(AnswerError):
        parse_answer("```json\n" + filler * 50_000 + "x")


@pytest.mark.parametrize(
    "text",
    ['```json\n{"a": 1}\n```', '```\n{"a": 1}```', ' ``` json \n\n {"a": 1} \n\n ```\n'],
)
def test_a_fence_is_no_repair(text: str) -> None:
    assert parse_answer(text) == ({"a": 1}, False)
