"""docs/routing.md: its examples can be used as they stand, each with the deployments before it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared.routing.catalog import contents_of
from shared.routing.facts import Facts
from shared.routing.file import rows_of
from shared.routing.model import Capability, Strategy
from shared.routing.select import order

TEXT = (Path(__file__).parents[3] / "docs" / "routing.md").read_text("utf-8")
EXAMPLES = [tomllib.loads(each) for each in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"env:([A-Z_]+)", TEXT):
        monkeypatch.setenv(name, f"the key {name}")


def up_to(index: int) -> dict[str, Any]:
    before = [row for each in EXAMPLES[: index + 1] for row in each.get("deployments", [])]
    return {"deployments": before, "routes": EXAMPLES[index]["routes"]}


@pytest.mark.parametrize("index", range(len(EXAMPLES)))
def test_each_can_be_used_as_it_stands(index: int) -> None:
    contents = contents_of(rows_of(up_to(index)))

    for route in contents.routes.values():
        assert order(route, Facts(input_tokens=10), {}, 0, 0.5)


def test_every_strategy_and_capability_is_told_of() -> None:
    assert [each for each in (*Strategy, *Capability) if f"| `{each}` |" not in TEXT] == []


def test_a_picture_and_a_long_chat_leave_the_own_machine() -> None:
    (index,) = (at for at, each in enumerate(EXAMPLES) if each["routes"][0]["model"] == "mixed")
    mixed = contents_of(rows_of(up_to(index))).routes["mixed"]

    def first(facts: Facts) -> str:
        return order(mixed, facts, {}, 0, 0.5)[0].deployment.name

    assert first(Facts(needs=frozenset({Capability.VISION}))) == "gpt-us"
    assert first(Facts(input_tokens=40_000)) == "gpt-us"
