"""`GET /v1/models` and `GET /v1/models/{model}`."""

from pathlib import Path

from api.models import PRACTICE
from tests.api.whole_app import WholeApp, whole_app


async def test_models_are_listed_and_found(app: WholeApp) -> None:
    listed = (await app.client.get("/v1/models")).json()
    names = {each["id"]: each for each in listed["data"]}
    one = await app.client.get("/openai/v1/models/team%2Fbest%20model")

    assert listed["object"] == "list"
    assert {"limited", "team/best model", *(f"sandbox/{each}" for each in PRACTICE)} == set(names)
    assert one.json() == names["team/best model"]
    assert one.json() == {
        "id": "team/best model",
        "object": "model",
        "created": 0,
        "owned_by": "sandbox",
    }
    assert (await app.client.get("/v1/models/sandbox/anything")).status_code == 200


async def test_a_model_that_there_is_not(app: WholeApp) -> None:
    reply = await app.client.get("/v1/models/no/such")

    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_vendors_key_lists_its_models(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    keys = {"openai": "sk-1", "gemini": "g-1"}
    async with whole_app(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, provider_keys=keys
    ) as app:
        listed = (await app.client.get("/v1/models")).json()["data"]

    owners = {each["id"]: each["owned_by"] for each in listed}
    assert owners["openai/gpt-4o"] == "openai"
    assert any(name.startswith("gemini/gemini-2") for name in owners)
    assert not [name for name in owners if "claude" in name or name.count(":")]
