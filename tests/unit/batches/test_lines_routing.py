"""A line goes where it fits, and one that fits nowhere is refused by its line."""

from typing import Any

import orjson
import pytest

from shared.auth.standings import Standing
from shared.batches.lines import Line, LineChecker, LineError
from shared.batches.options import BatchOptions
from shared.routing.catalog import load_catalog
from shared.settings import Settings

CONFIG: Any = {
    "deployments": [
        {
            "name": "blind",
            "provider": "sandbox",
            "model": "echo",
            "region": "us-east",
            "capabilities": ["tools"],
            "context_tokens": 1000,
        },
        {
            "name": "sees",
            "provider": "sandbox",
            "model": "echo",
            "region": "eu-west",
            "context_tokens": 4000,
        },
    ],
    "routes": [{"model": "both", "deployments": ["blind", "sees"]}],
}
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}


def checker(**more: Any) -> LineChecker:
    return LineChecker(load_catalog(CONFIG, {}), Settings(), BatchOptions(), **more)


def line(*messages: Any, model: str = "both") -> bytes:
    body = {"model": model, "messages": messages or [{"role": "user", "content": "hi"}]}
    return orjson.dumps(
        {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions", "body": body}
    )


@pytest.mark.parametrize(
    ("messages", "home"),
    [
        ([{"role": "user", "content": "hi"}], "blind"),
        ([PICTURE], "sees"),
        ([{"role": "user", "content": "long " * 1000}], "sees"),
    ],
)
def test_each_line_has_the_home_that_it_fits(messages: list[Any], home: str) -> None:
    found = checker().check(line(*messages), 1)

    assert isinstance(found, Line)
    assert found.lane.startswith(f"{home}:")


def test_what_fits_nowhere_is_refused_by_its_line() -> None:
    found = checker().check(line(PICTURE, model="blind"), 7)

    assert isinstance(found, LineError)
    assert (found.line, found.code, found.param) == (7, "no_deployment_fits", "body.model")
    assert "reads pictures" in found.message


def test_a_tenants_regions_are_not_left() -> None:
    here = Standing(regions=frozenset({"eu"}))

    found = checker(standing=here).check(line(), 1)
    refused = checker(standing=here).check(line(model="blind"), 1)

    assert isinstance(found, Line)
    assert found.lane.startswith("sees:")
    assert isinstance(refused, LineError)
    assert "one of the regions eu" in refused.message


def test_a_line_that_was_found_right_is_stored_all_the_same() -> None:
    found = checker(again=True).check(line(PICTURE, model="blind"), 1)

    assert isinstance(found, Line)
    assert found.lane.startswith("blind:")


def test_a_change_of_the_configuration_counts_for_the_next_line() -> None:
    catalog = load_catalog(CONFIG, {})
    lines = LineChecker(catalog, Settings(), BatchOptions())
    assert isinstance(lines.check(line(), 1), Line)

    catalog.replace(load_catalog({}, {}).contents)
    gone = lines.check(line(), 2)

    assert isinstance(gone, LineError)
    assert gone.code == "model_not_found"
