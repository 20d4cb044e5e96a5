"""The operator's deployments and routes."""

from typing import Any

import pytest
from pydantic import SecretStr

from shared.errors import NotFound
from shared.routing.catalog import Catalog, load_catalog
from shared.routing.model import targets

ROW: dict[str, Any] = {"name": "d", "provider": "sandbox", "model": "echo"}


def load(*rows: dict[str, Any], routes: list[dict[str, Any]] | None = None) -> Catalog:
    return load_catalog({"deployments": list(rows), "routes": routes or []}, {})  # type: ignore[dict-item]


def test_a_deployment_can_be_named_directly() -> None:
    (target,) = targets(load(ROW).resolve("d"))

    assert (target.deployment.name, target.deployment.model) == ("d", "echo")


def test_a_route_lists_its_targets_in_order_and_each_key_is_one() -> None:
    catalog = load(
        {**ROW, "name": "a", "keys": ["k1", "k2"]},
        {**ROW, "name": "b"},
        routes=[{"model": "m", "deployments": ["b", "a"]}],
    )

    found = targets(catalog.resolve("m"))

    assert [each.deployment.name for each in found] == ["b", "a", "a"]
    assert len({each.lane_key for each in found}) == 3
    assert not any("k1" in each.lane_key or "k1" in repr(each) for each in found)


def test_a_vendors_key_is_enough_and_the_sandbox_needs_none() -> None:
    catalog = load_catalog({}, {"openai": SecretStr("sk")})

    assert targets(catalog.resolve("openai/gpt"))[0].deployment.model == "gpt"
    assert targets(catalog.resolve("sandbox/x"))[0].deployment.model == "x"
    for name in ("gpt", "mistral/x", "openai/", "/x", ""):
        with pytest.raises(NotFound):
            catalog.resolve(name)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"deployment": [ROW]}, "deployment"),
        ({"deployments": [{**ROW, "rpm": 0}]}, "rpm"),
        ({"deployments": [{**ROW, "colour": 1}]}, "colour"),
        ({"deployments": [ROW, ROW]}, "more than one deployment"),
        ({"routes": [{"model": "m", "deployments": ["x"]}]}, "not configured"),
        (
            {
                "deployments": [ROW],
                "routes": [{"model": "m", "deployments": ["d"], "strategy": "fastest"}],
            },
            "strategy",
        ),
        ({"deployments": [{**ROW, "keys": ["env:PENSTOCK_NO_SUCH_KEY"]}]}, "NO_SUCH_KEY"),
    ],
)
def test_a_wrong_file_says_where(config: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        load_catalog(config, {})


@pytest.mark.parametrize("name", ["sandbox/{x}", "openai/}"])
def test_what_a_client_names_is_fit_for_the_name_of_a_lane(name: str) -> None:
    catalog = load_catalog({}, {"openai": SecretStr("sk")})

    with pytest.raises(NotFound):
        catalog.resolve(name)
