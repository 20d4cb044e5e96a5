"""The models in Google's shape, page by page."""

from tests.api.whole_app import ADMIN_KEY, WholeApp

ALL = {
    "models/limited",
    "models/team/best model:v2",
    "models/sandbox/echo",
    "models/sandbox/reader",
}


async def test_pages(app: WholeApp) -> None:
    seen, token = [], ""
    for _ in range(4):
        query = {"pageSize": "1", **({"pageToken": token} if token else {})}
        page = (await app.client.get("/v1beta/models", params=query)).json()
        seen += [each["name"] for each in page["models"]]
        token = page.get("nextPageToken", "")

    assert (set(seen), len(seen), token) == (ALL, 4, "")
    whole = (await app.client.get("/gemini/v1/models", params={"pageSize": "0"})).json()
    assert [each["name"] for each in whole["models"]] == seen
    assert "nextPageToken" not in whole


async def test_one(app: WholeApp) -> None:
    one = await app.client.get("/v1beta/models/team%2Fbest%20model:v2")
    missing = await app.client.get("/v1beta/models/no/such")

    assert one.json() == {
        "name": "models/team/best model:v2",
        "version": "",
        "displayName": "team/best model:v2",
        "description": "Served by sandbox.",
        "supportedGenerationMethods": [
            "generateContent",
            "streamGenerateContent",
            "countTokens",
            "embedContent",
            "batchEmbedContents",
        ],
        "inputTokenLimit": 32000,
    }
    assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")


async def test_no_page(app: WholeApp) -> None:
    for query in ({"pageSize": "-1"}, {"pageToken": "%%"}, {"pageToken": "bm90aGluZw"}):
        reply = await app.client.get("/v1beta/models", params=query)
        assert reply.status_code == 400, query
        assert next(iter(query)) in reply.json()["error"]["message"]


async def test_whose_client_asks_decides_the_shape(app: WholeApp) -> None:
    google = await app.client.get("/v1/models", headers={"x-goog-api-key": ADMIN_KEY})
    mistral = {"user-agent": "mistral-client-python/3.7.0"}
    mistrals = (await app.client.get("/v1/models", headers=mistral)).json()["data"]
    openais = (await app.client.get("/v1/models")).json()["data"]
    anthropics = await app.client.get("/v1/models", headers={"anthropic-version": "2023-06-01"})
    colon = await app.client.get("/v1/models/team/best model:v2")

    assert {each["name"] for each in google.json()["models"]} == ALL
    assert {each["type"] for each in mistrals} == {"base"}
    assert all(each["capabilities"]["completion_chat"] for each in mistrals)
    assert {each["object"] for each in openais} == {"model"}
    assert {each["type"] for each in anthropics.json()["data"]} == {"model"}
    # No Google client: its name has a colon.
    assert colon.json()["id"] == "team/best model:v2"
