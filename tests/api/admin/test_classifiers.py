"""Whoever a route asks how hard a request is does not go while it is asked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.whole_app import WholeApp, whole_app


@pytest.fixture
async def app(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as running:
        for name in ("plain", "judge"):
            row = {"name": name, "provider": "sandbox", "model": "echo"}
            assert (await running.client.post("/v1/deployments", json=row)).status_code == 201
        yield running


async def add(app: WholeApp, model: str, classifier: str) -> None:
    difficulty = {"simple": ["plain"], "hard": ["plain"], "classifier": classifier}
    route = {"model": model, "strategy": "difficulty", "difficulty": difficulty}
    reply = await app.client.post("/v1/routes", json=route)
    assert reply.status_code == 201, reply.text


async def test_a_classifier_does_not_go_before_its_route(app: WholeApp) -> None:
    await add(app, "by-a-deployment", "judge")
    await add(app, "by-a-route", "by-a-deployment")
    client = app.client

    deployment = await client.delete("/v1/deployments/judge")
    route = await client.delete("/v1/routes/by-a-deployment")

    assert (deployment.status_code, deployment.json()["code"]) == (409, "deployment_in_use")
    assert (route.status_code, route.json()["code"]) == (409, "route_in_use")
    assert "the route by-a-route asks by-a-deployment" in route.json()["detail"]
    in_order = ("routes/by-a-route", "routes/by-a-deployment", "deployments/judge")
    for path in in_order:
        assert (await client.delete(f"/v1/{path}")).status_code == 200, path
