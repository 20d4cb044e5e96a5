"""Deployments by the API: stored sealed, checked as a whole, shown without keys, changed without a restart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from shared.auth import issuing, store
from shared.auth.permissions import Role
from tests.api.whole_app import WholeApp, whole_app

CONFIG = """
[[deployments]]
name = "filed"
provider = "sandbox"
model = "echo"

[[routes]]
model = "filed-route"
deployments = ["filed"]
"""
KEY = "sk-a-very-secret-provider-key-1234"
ROW: dict[str, Any] = {
    "name": "own",
    "provider": "openai",
    "model": "gpt",
    "keys": [KEY, "sk-the-other-secret-key-5678"],
    "headers": {"X-Team": "a-secret-header-value"},
    "region": "eu-west",
    "rpm": 60,
}


@pytest.fixture
async def app(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[WholeApp]:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    async with whole_app(tmp_path, database_url=database_url, redis_url=redis_url) as running:
        yield running


async def add(app: WholeApp, **changes: Any) -> Any:
    reply = await app.client.post("/v1/deployments", json={**ROW, **changes})
    assert reply.status_code == 201, reply.text
    return reply.json()


async def test_it_is_shown_with_hints_and_its_state_and_can_be_named_at_once(app: WholeApp) -> None:
    made = await add(app)

    assert [each["hint"] for each in made["keys"]] == ["…1234", "…5678"]
    assert made["headers"] == {"X-Team": "…alue"}
    assert made["breaker"] == {"state": "closed", "opened": 0, "probe_in_s": None}
    assert made["source"] == "api"
    assert made["keys"][0]["under_way"] == 0
    listed = (await app.client.get("/v1/deployments")).json()["data"]
    assert [each["name"] for each in listed] == ["filed", "own"]
    assert (await app.client.get("/v1/deployments/own")).json() == made
    assert (await app.client.get("/v1/models/own")).status_code == 200
    assert KEY not in (await app.client.get("/v1/deployments")).text


async def test_its_keys_are_stored_sealed(app: WholeApp) -> None:
    await add(app)

    async with app.resources.database.reading() as db:
        rows = (await db.execute(text("SELECT * FROM deployment"))).all()
    stored = repr(rows)
    assert "gpt" in stored
    assert KEY not in stored
    assert "secret" not in stored


async def test_a_put_rotates_keys_and_keeps_those_that_it_does_not_name(app: WholeApp) -> None:
    before = await add(app)
    target = app.resources.catalog.resolve("own").targets[0]

    kept = await app.client.put(
        "/v1/deployments/own", json={"provider": "openai", "model": "gpt-2"}
    )
    rotated = await app.client.put(
        "/v1/deployments/own",
        json={"provider": "openai", "model": "gpt-2", "keys": ["sk-brand-new-key-9999"]},
    )

    assert kept.status_code == 200
    assert kept.json()["model"] == "gpt-2"
    assert kept.json()["rpm"] is None
    assert [each["lane"] for each in kept.json()["keys"]] == [
        each["lane"] for each in before["keys"]
    ]
    assert [each["hint"] for each in rotated.json()["keys"]] == ["…9999"]
    assert rotated.json()["headers"] == {"X-Team": "…alue"}
    # Who holds the old one goes on with it.
    assert target.api_key == KEY
    assert app.resources.catalog.resolve("own").targets[0].api_key == "sk-brand-new-key-9999"


async def test_what_stands_in_the_file_is_not_touched(app: WholeApp) -> None:
    replies = [
        await app.client.post("/v1/deployments", json={**ROW, "name": "filed"}),
        await app.client.put("/v1/deployments/filed", json=ROW | {"name": "filed"}),
        await app.client.delete("/v1/deployments/filed"),
        await app.client.post(
            "/v1/routes", json={"model": "filed-route", "deployments": ["filed"]}
        ),
        await app.client.delete("/v1/routes/filed-route"),
    ]

    assert [(each.status_code, each.json()["code"]) for each in replies] == [
        (409, "defined_in_file")
    ] * 5
    filed = (await app.client.get("/v1/deployments/filed")).json()
    assert (filed["source"], filed["created_at"]) == ("file", None)


async def test_a_route_over_both_kinds_and_what_it_holds(app: WholeApp) -> None:
    await add(app)
    made = await app.client.post(
        "/v1/routes",
        json={
            "model": "best/of-all",
            "deployments": ["own", "filed"],
            "strategy": "weighted",
            "weights": {"own": 3},
        },
    )
    assert made.status_code == 201, made.text

    in_use = await app.client.delete("/v1/deployments/own")
    again = await app.client.post(
        "/v1/routes", json={"model": "best/of-all", "deployments": ["own"]}
    )

    assert (in_use.status_code, in_use.json()["code"]) == (409, "deployment_in_use")
    assert "best/of-all" in in_use.json()["detail"]
    assert (again.status_code, again.json()["code"]) == (409, "route_exists")
    route = app.resources.catalog.resolve("best/of-all")
    assert [each.name for each in route.deployments] == ["own", "filed"]
    assert (await app.client.delete("/v1/routes/best/of-all")).status_code == 200
    assert (await app.client.delete("/v1/deployments/own")).status_code == 200
    assert (await app.client.get("/v1/deployments/own")).status_code == 404
    assert (await app.client.delete("/v1/deployments/own")).json()["code"] == "deployment_not_found"


@pytest.mark.parametrize(
    ("path", "body", "param", "words"),
    [
        ("/v1/deployments", {**ROW, "rpm": 0}, "rpm", "greater than 0"),
        ("/v1/deployments", {**ROW, "colour": "red"}, "colour", "colour"),
        ("/v1/deployments", {**ROW, "keys": ["env:PENSTOCK_SECRET_KEY"]}, "keys", "file only"),
        ("/v1/deployments", {**ROW, "keys": []}, "keys", "keys"),
        ("/v1/deployments", {**ROW, "keys": [KEY, KEY]}, "keys", "twice"),
        ("/v1/deployments", {**ROW, "provider": "nobody"}, "provider", "no provider is called"),
        ("/v1/deployments", {**ROW, "base_url": "ftp://x"}, "base_url", "base_url"),
        ("/v1/deployments", {"provider": "openai", "model": "x"}, "name", "missing"),
        ("/v1/routes", {"model": "m", "deployments": ["nowhere"]}, "deployments.0", "nowhere"),
        (
            "/v1/routes",
            {"model": "m", "deployments": ["filed"], "strategy": "fast"},
            "strategy",
            "",
        ),
        (
            "/v1/routes",
            {"model": "m", "deployments": ["filed"], "weights": {"other": 1}},
            "weights.other",
            "none of the deployments",
        ),
        ("/v1/routes", {"model": "m"}, None, "at least one deployment"),
    ],
)
async def test_what_is_wrong_is_told_by_its_field(
    app: WholeApp, path: str, body: Any, param: str | None, words: str
) -> None:
    reply = await app.client.post(path, json=body)

    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == param
    assert words in reply.json()["detail"]
    assert KEY not in reply.text
    assert app.resources.catalog.status.revision == 0


async def test_only_the_operators_tenant_may(app: WholeApp) -> None:
    async with app.resources.database.transaction() as db:
        other = await store.ensure_tenant(db, id="ten_other", name="other", created_at=1)
    _, key = await issuing.issue(
        app.resources.database,
        app.resources.secret_key,
        tenant_id=other,
        name="theirs",
        role=Role.ADMIN,
    )

    for path in ("/v1/deployments", "/v1/routes", "/v1/config", "/v1/deployments/filed"):
        reply = await app.client_of(key).get(path)
        assert reply.status_code == 403
        assert "filed" not in reply.text.replace(path, "")


async def test_a_request_that_nothing_can_do_is_refused_when_it_comes(app: WholeApp) -> None:
    await add(app, capabilities=["tools"], context_tokens=1000)
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    asked = {"model": "own", "messages": [{"role": "user", "content": [picture]}]}
    body = {"endpoint": "/v1/chat/completions", "body": asked}

    blind = await app.client.post("/v1/jobs", json=body)
    asked["messages"] = [{"role": "user", "content": "long " * 5000}]
    short = await app.client.post("/v1/jobs", json=body)
    async with app.resources.database.transaction() as db:
        await store.change_tenant(db, "default", {"regions": ["us"]})
    app.resources.standings.forget()
    asked["messages"] = [{"role": "user", "content": "hello"}]
    abroad = await app.client.post("/v1/jobs", json=body)

    assert (blind.status_code, blind.json()["code"]) == (400, "no_deployment_fits")
    assert "reads pictures" in blind.json()["detail"]
    assert (short.status_code, short.json()["code"]) == (400, "context_length_exceeded")
    assert abroad.status_code == 400
    assert "regions us" in abroad.json()["detail"]


async def test_the_configuration_is_told(app: WholeApp) -> None:
    await add(app)

    told = (await app.client.get("/v1/config")).json()

    assert told["valid"] is True
    assert (told["revision"], told["deployments"], told["routes"]) == (1, 2, 1)


async def test_a_file_that_is_refused_is_visible(app: WholeApp) -> None:
    app.settings.config.write_text(CONFIG.replace("[[routes]]", "[[routes]]\ncolour = 1"))
    await app.resources.watch.look()

    told = (await app.client.get("/v1/config")).json()
    metrics = (await app.client_of(None).get("/metrics")).text

    assert told["valid"] is False
    assert told["errors"] == [
        {
            "line": 8,
            "field": "routes.0.colour",
            "message": "it is not known here: remove it, or correct its name",
        }
    ]
    assert "penstock_config_valid 0.0" in metrics
    assert (await app.client.get("/v1/models/filed-route")).status_code == 200


async def test_what_is_stored_but_not_in_use_says_why(app: WholeApp) -> None:
    route = {"model": "r", "deployments": ["filed"]}
    assert (await app.client.post("/v1/routes", json=route)).status_code == 201
    app.resources.settings.config.write_text(CONFIG.replace("filed", "renamed"))
    await app.resources.watch.look(stored=False)

    reply = await app.client.post("/v1/deployments", json=ROW)

    assert reply.status_code == 409, reply.text
    assert reply.json()["code"] == "config_refused"
    assert "names the deployment filed" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "http://host:99999/v1"),
        ("keys", ["sk-\n"]),
        ("headers", {"X-A": "a\r\nb: c"}),
        ("headers", {"X A": "a"}),
        ("name", "{b}"),
    ],
)
async def test_what_no_call_could_be_made_with_is_refused(
    app: WholeApp, field: str, value: Any
) -> None:
    reply = await app.client.post("/v1/deployments", json={**ROW, field: value})

    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] in (field, "keys", f"headers.{value}")
    assert "sk-" not in reply.text


async def test_a_classifier_that_nobody_knows_is_refused(app: WholeApp) -> None:
    difficulty = {"simple": ["filed"], "hard": ["filed"], "classifier": "nobody"}
    route = {"model": "r", "strategy": "difficulty", "difficulty": difficulty}

    reply = await app.client.post("/v1/routes", json=route)

    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["param"] == "difficulty.classifier"
