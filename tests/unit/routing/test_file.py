"""A wrong file is refused by its line and its field."""

from pathlib import Path

import pytest

from shared.jobs.lanes import lane_of
from shared.routing.catalog import contents_of
from shared.routing.file import parse, read_file
from shared.routing.lines import line_of
from shared.routing.model import Target
from shared.routing.problem import ConfigError
from shared.routing.rows import LARGEST

OPTIONS = "deployments.0.options"
GOOD = """\
# a comment
[[deployments]]
name = "a"
provider = "sandbox"
model = "echo"

[[deployments]]
name = "b"
provider = "openai"
model = "gpt"
keys = ["one", "two"]

[deployments.price]
input_usd = 1.0

[[routes]]
model = "m"
strategy = "weighted"
deployments = ["a", "b"]
weights = { a = 1 }
"""


def problem(text: str) -> tuple[int | None, str | None, str]:
    with pytest.raises(ConfigError) as told:
        contents_of(parse(text))
    found = told.value.problem
    return found.line, found.field, found.message


def test_a_good_file_is_taken() -> None:
    contents = contents_of(parse(GOOD))

    assert list(contents.deployments) == ["a", "b"]
    assert contents.routes["m"].weights == {"a": 1}
    assert contents_of(parse("")).routes == {}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ('model = "gpt"', 'model = "gpt', 10, None, "not valid TOML"),
        ('provider = "openai"', 'provider = "nobody"', 9, "deployments.1.provider", "no provider"),
        ('model = "gpt"', "rpm = 0", 7, "deployments.1.model", "it is missing"),
        ('model = "gpt"', 'model = "gpt"\nrpm = 0', 11, "deployments.1.rpm", "greater than 0"),
        ('model = "gpt"', 'model = "gpt"\ntpm = 4_000_000_001', 11, "deployments.1.tpm", "less"),
        ('model = "gpt"', 'model = "gpt"\nrpm = 10_000_000_000', 11, "deployments.1.rpm", "less"),
        ("# a comment", "x = " + "[" * 5000 + "]" * 5000, None, None, "nested too deeply"),
        ("input_usd = 1.0", "input_usd = 1" + "0" * 5000, None, None, "too many digits"),
        ('model = "echo"', 'model = "echo"\noptions = { rpm = "x" }', 6, OPTIONS, "rpm must be"),
        ('model = "echo"', 'model = "echo"\noptions = { rpm = nan }', 6, OPTIONS, "rpm must be"),
        ('model = "echo"', 'model = "echo"\noptions = { lag = 1 }', 6, OPTIONS, "no option `lag`"),
        ('model = "echo"', 'model = "echo"\noptions = { error_rate = 2 }', 6, OPTIONS, "a share"),
        ('model = "echo"', 'model = "echo"\noptions = { status = 200 }', 6, OPTIONS, "of failure"),
        ('model = "echo"', 'model = "flaky-200"', 5, "deployments.0.model", "may be 100 at most"),
        (
            'model = "gpt"',
            'model = "gpt"\noptions = { rpm = 1 }',
            11,
            "deployments.1.options",
            "only the sandbox has options",
        ),
        ("input_usd = 1.0", "input_usd = -1", 14, "deployments.1.price.input_usd", "greater"),
        ("input_usd = 1.0", "colour = 1", 13, "deployments.1.price.input_usd", "missing"),
        ('keys = ["one", "two"]', 'keys = ["", "x"]', 7, "deployments.1", "needs a key"),
        ('keys = ["one", "two"]', 'keys = ["x", "x"]', 11, "deployments.1.keys", "twice"),
        (
            'keys = ["one", "two"]',
            'keys = ["env:NO_SUCH_ONE"]',
            11,
            "deployments.1.keys",
            "not set",
        ),
        ('keys = ["one", "two"]', 'keys = ["on\\ne"]', 11, "deployments.1.keys", "line break"),
        ('keys = ["one", "two"]', 'keys = ["schlüssel"]', 11, "deployments.1.keys", "ASCII"),
        ('name = "b"', 'name = "{b}"', 8, "deployments.1.name", "pattern"),
        ('name = "b"', 'name = "a"', 8, "deployments.1.name", "more than one deployment"),
        ('["a", "b"]', '["a", "c"]', 19, "routes.0.deployments.1", "names the deployment c"),
        ("{ a = 1 }", "{ c = 1 }", 20, "routes.0.weights.c", "none of the deployments"),
        ('"weighted"', '"fastest"', 18, "routes.0.strategy", "'priority'"),
        ('"weighted"', '"difficulty"', 16, "routes.0", "come together"),
        ("[[routes]]", "[[route]]", 16, "route", "not known here"),
        ("# a comment", "deployments = 1", 2, None, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_field(
    old: str, new: str, line: int, field: str | None, words: str
) -> None:
    assert old in GOOD

    where, what, said = problem(GOOD.replace(old, new))

    assert words in said
    assert (where, what) == (line, field)


def test_the_largest_limits_that_are_taken_have_a_lane() -> None:
    limits = f"rpm = {LARGEST}\ntpm = {LARGEST}\nconcurrency = {LARGEST}\n"
    row = f'[[deployments]]\nname = "a"\nprovider = "sandbox"\nmodel = "echo"\n{limits}'

    lane = lane_of(Target(contents_of(parse(row)).deployments["a"], ""))

    assert [each.unit for each in lane.buckets] == ["requests", "tokens"]


def test_the_mark_of_an_encoding_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text(GOOD, "utf-8-sig")

    assert read_file(path) == GOOD


def test_a_second_call_for_the_slow_needs_to_know_what_is_slow() -> None:
    slow = GOOD.replace("weights = { a = 1 }", 'on_slow = "hedge"')

    assert problem(slow)[:2] == (16, "routes.0")
    assert "first_token_s" in problem(slow)[2]
    assert contents_of(parse(f"{slow}first_token_s = 2\n")).routes["m"].first_token_s == 2


@pytest.mark.parametrize(
    ("classifier", "words"),
    [("nobody", "neither"), ("m", "itself"), ("b", None), ("sandbox/x", None)],
)
def test_who_says_how_hard_a_request_is_must_be_there(classifier: str, words: str | None) -> None:
    table = f'difficulty = {{ simple = ["a"], hard = ["b"], classifier = "{classifier}" }}'
    text = GOOD.replace("weights = { a = 1 }", table).replace('"weighted"', '"difficulty"')

    if words is None:
        assert contents_of(parse(text)).routes["m"].difficulty is not None
    else:
        line, field, said = problem(text)
        assert (line, field) == (20, "routes.0.difficulty.classifier")
        assert words in said


def test_inline_tables_and_quoted_keys_have_lines_too() -> None:
    text = 'deployments = [\n  { name = "a" },\n]\n"routes" = 3\n'

    assert line_of(text, ("deployments", 0, "model")) == 1
    assert line_of(text, ("routes",)) == 4
    assert line_of(text, ("nothing",)) is None
    assert line_of(text, ()) is None


def test_a_multi_line_pool_is_found_at_its_key() -> None:
    text = '[[deployments]]\nname = "a"\nkeys = [\n  "x",\n  "y",\n]\n'

    assert line_of(text, ("deployments", 0, "keys", 1)) == 3
