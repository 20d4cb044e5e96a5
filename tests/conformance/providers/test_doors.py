"""Azure and Vertex by their own paths, queries and keys: what else comes is turned away, and the failure has its place."""

from urllib.parse import urlsplit

import pytest

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.providers import errors
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http
from tests.conformance.providers.vocabulary import VERTEX, VOCABULARIES
from tests.fakes.upstream_client import Upstream
from tests.fakes.upstream_doors import turned_away

KEYS = {"azure": "sk-azure", "azure-v1": "sk-azure", "vertex": VERTEX.key}
WORDS = {words.vendor: words for words in reversed(list(VOCABULARIES.values()))}


def called(vendor: str, http: Http, base_url: str, key: str | None = None) -> Provider:
    return build_provider(vendor, http=http, base_url=base_url, api_key=key or KEYS[vendor])


@pytest.mark.parametrize("vendor", KEYS)
async def test_each_comes_by_its_own_way(upstream: Upstream, http: Http, vendor: str) -> None:
    words, before = WORDS[vendor], len(upstream.calls())
    provider = called(vendor, http, upstream.address(vendor))

    await provider.generate(words.ask("one-model"))
    assert [chunk async for chunk in provider.stream(words.ask("one-model"))]

    whole, streamed = upstream.calls()[before:]
    assert {whole["model"], streamed["model"]} == {"one-model"}
    assert {whole["key"], streamed["key"]} == {KEYS[vendor]}
    assert urlsplit(upstream.address(vendor)).path in whole["path"]


@pytest.mark.parametrize(
    ("vendor", "right", "wrong"),
    [
        ("azure", "/openai", "/openai/v1"),
        ("azure", "/openai", "/openai/deployments/one"),
        ("azure-v1", "/openai/v1", "/openai"),
        ("vertex", "/publishers/google", ""),
        ("vertex", "/v1/", "/v1beta/"),
        ("vertex", "fake-project-7", "another-one"),
        ("vertex", "europe-west4", "us-east1"),
    ],
)
async def test_another_way_leads_nowhere(
    upstream: Upstream, http: Http, vendor: str, right: str, wrong: str
) -> None:
    address = upstream.address(vendor)
    assert right in address
    provider = called(vendor, http, address.replace(right, wrong))

    with pytest.raises(errors.ProviderError) as raised:
        await provider.generate(WORDS[vendor].ask())
    assert raised.value.status in {403, 404}


async def test_a_key_in_place_of_a_token_is_refused(upstream: Upstream, http: Http) -> None:
    provider = called("vertex", http, upstream.address("vertex"), key="AIza-a-key")

    with pytest.raises(errors.AuthFailed):
        await provider.generate(VERTEX.ask())


@pytest.mark.parametrize("vendor", ["openai", "gemini"])
async def test_other_vendors_keys_open_neither(upstream: Upstream, http: Http, vendor: str) -> None:
    at = {"openai": upstream.address("azure-v1"), "gemini": upstream.address("vertex")}[vendor]
    provider = build_provider(vendor, http=http, base_url=at, api_key="sk-secret-1")

    with pytest.raises(errors.AuthFailed):
        await provider.generate(WORDS[vendor].ask())


AZURE = "/openai/deployments/d/chat/completions"
GOOGLE = "/v1/projects/fake-project-7/locations/europe-west4/publishers/google/models/m"
TOKEN = {"authorization": f"Bearer {VERTEX.key}"}
KEY = {"api-key": "k"}


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        (f"{AZURE}?api-version=2024-10-21", KEY, None),
        (AZURE, KEY, 404),
        (f"{AZURE}?api-version=yesterday", KEY, 404),
        (f"{AZURE}?api-version=2024-10-21", {"authorization": "Bearer k"}, 401),
        (f"{AZURE}?api-version=2024-10-21", {**KEY, "authorization": "Bearer k"}, 401),
        ("/openai/chat/completions?api-version=2024-10-21", KEY, 404),
        ("/openai/v1/responses", KEY, None),
        ("/openai/v1/responses?api-version=2024-10-21", KEY, 400),
        ("/openai/v1/responses", {}, 401),
        (f"{GOOGLE}:generateContent", TOKEN, None),
        (f"{GOOGLE}:streamGenerateContent?alt=sse", TOKEN, None),
        (f"{GOOGLE}:streamGenerateContent", TOKEN, 400),
        (f"{GOOGLE}:generateContent?key=k", TOKEN, 401),
        (f"{GOOGLE}:generateContent", {"x-goog-api-key": "k"}, 401),
        (f"{GOOGLE}:predictAll", TOKEN, 404),
        ("/v1/projects/fake-project-7/models/m:generateContent", TOKEN, 404),
        ("/v1beta/models/m:streamGenerateContent", {"x-goog-api-key": "k"}, 400),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", {"x-goog-api-key": "k"}, None),
        ("/v1/chat/completions", {}, None),
    ],
)
def test_who_is_turned_away(target: str, headers: dict[str, str], status: int | None) -> None:
    away = turned_away(target, headers)

    assert (None if away is None else away.status) == status


async def test_a_deployment_on_azure_embeds(upstream: Upstream, http: Http) -> None:
    provider = called("azure", http, upstream.address("azure"))
    body = InferenceRequest("embedder", {"input": ["one", "two"]}, Dialect.EMBEDDINGS)

    answer = await provider.embed(body)

    assert answer.usage is not None
    path = upstream.calls()[-1]["path"]
    assert path == "/openai/deployments/embedder/embeddings"
