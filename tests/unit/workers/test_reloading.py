"""What workers and the scheduler remember of the configuration follows its changes."""

from typing import Any

import pytest

from shared.routing.catalog import Catalog, contents_of
from shared.routing.file import rows_of
from shared.settings import Settings
from workers.provider_pool import ProviderPool
from workers.scheduler.ways import Ways


def contents(*rows: dict[str, Any], **routes: list[str]) -> Any:
    whole = [{"provider": "sandbox", "model": "echo", **row} for row in rows]
    named = [{"model": name, "deployments": some} for name, some in routes.items()]
    return contents_of(rows_of({"deployments": whole, "routes": named}))  # type: ignore[dict-item]


def test_the_scheduler_forgets_what_it_knew_of_lanes() -> None:
    catalog = Catalog(contents({"name": "a"}, {"name": "b"}, m=["a", "b"]), {})
    ways = Ways(catalog)
    first, second = ways.of_model("m")
    assert set(ways.of_lane(first)) == {first, second}

    catalog.replace(contents({"name": "a", "rpm": 60}, {"name": "c"}, m=["a", "c"], n=["c"]))
    ways.tidy()

    assert ways.of_model("m") == (first, ways.of_model("c")[0])
    assert list(ways.of_lane(second)) == []
    assert [bucket.unit for bucket in ways.lanes([first])[0].buckets] == ["requests"]
    assert ways.lead_elsewhere("m", second)


async def test_a_provider_is_built_anew_when_its_deployment_changed() -> None:
    catalog = Catalog(contents({"name": "a", "options": {"latency_ms": 1}}), {})
    pool = ProviderPool(Settings())
    target = catalog.resolve("a").targets[0]
    first = pool.get(target)

    catalog.replace(contents({"name": "a", "options": {"latency_ms": 1}}))
    same = pool.get(catalog.resolve("a").targets[0])
    catalog.replace(contents({"name": "a", "options": {"latency_ms": 2}}))
    other = pool.get(catalog.resolve("a").targets[0])

    assert same is first
    assert other is not first
    assert pool.get(catalog.resolve("a").targets[0]) is other
    await pool.aclose()


async def test_providers_of_names_that_clients_think_of_are_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.provider_pool.MOST", 10)
    catalog, pool = Catalog(contents(), {}), ProviderPool(Settings())

    for number in range(100):
        pool.get(catalog.resolve(f"sandbox/{number}").targets[0])

    assert len(pool._providers) <= 10
    await pool.aclose()
