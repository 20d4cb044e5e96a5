"""The same provider surface for everyone: the sandbox, and each adapter against the fake upstream."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from shared.inference.conversation import Part
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse
from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http, Timeouts, build_http
from tests.conformance.providers.vocabulary import CHAT, VOCABULARIES, Vocabulary
from tests.fakes.upstream_client import Upstream, rule

Build = Callable[..., Provider]
SANDBOX = "sandbox"


@dataclass(frozen=True)
class Subject:
    """A provider, the words it understands, and how to make it misbehave on a model of its own."""

    provider: Provider
    words: Vocabulary
    upstream: Upstream | None

    def ask(
        self, model: str = "echo", text: str = "hello there", *parts: Part, **wanted: Any
    ) -> InferenceRequest:
        """Return a request in the provider's words."""
        return self.words.ask(model, text, *parts, **wanted)

    async def collect(self, request: InferenceRequest) -> list[InferenceChunk]:
        """Return a whole stream."""
        return [chunk async for chunk in self.provider.stream(request)]

    def hanging(self) -> str:
        """Return a model that does not answer in the time of a test."""
        return self._model("slow-600000ms", "hang")

    def failing(self, status: int) -> str:
        """Return a model that fails with a status."""
        return self._model(f"error-{status}", "status", status=status)

    def short(self) -> str:
        """Return a model whose context is a few tokens."""
        return self._model("context-5", "status", status=400, body=self.words.too_long)

    def dawdling(self) -> str:
        """Return a model that takes its time between the chunks of a stream."""
        return self._model("chunks-20ms", "ok", chunk_delay_ms=20)

    def _model(self, sandbox: str, action: str, **options: object) -> str:
        if self.upstream is not None:
            self.upstream.script({**rule(action, model=sandbox), **options})
        return sandbox


@dataclass(frozen=True)
class Caller:
    """Calls to one dialect of the fake upstream, whole or streamed, through whatever provider."""

    words: Vocabulary
    streaming: bool

    async def __call__(self, provider: Provider) -> InferenceResponse | int:
        """Return a whole answer, or how many events a stream had."""
        if self.streaming:
            return len([chunk async for chunk in provider.stream(self.words.ask())])
        return await provider.generate(self.words.ask())


@pytest.fixture(scope="session")
def upstream_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Run one fake provider for all of these tests."""
    with Upstream(tmp_path_factory.mktemp("upstream") / "ledger.jsonl") as upstream:
        yield upstream


@pytest.fixture
def upstream(upstream_process: Upstream) -> Iterator[Upstream]:
    """Give a test the fake provider without rules."""
    upstream_process.clear()
    yield upstream_process
    upstream_process.clear()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """Open the real HTTP client, and close it after."""
    client = build_http(max_connections=500)
    yield client
    await client.aclose()


@pytest.fixture(params=[SANDBOX, *VOCABULARIES])
async def subject(
    request: pytest.FixtureRequest, upstream: Upstream, http: Http
) -> AsyncIterator[Subject]:
    """Give a test each of the providers in turn."""
    if request.param == SANDBOX:
        subject = Subject(build_provider(SANDBOX, http=http), CHAT, None)
    else:
        words = VOCABULARIES[request.param]
        provider = build_provider(
            words.vendor,
            http=http,
            base_url=upstream.address(words.vendor),
            api_key=words.key,
            timeouts=Timeouts(total_s=30),
        )
        subject = Subject(provider, words, upstream)
    yield subject
    await subject.provider.aclose()


@pytest.fixture(params=VOCABULARIES)
def words(request: pytest.FixtureRequest) -> Vocabulary:
    """Give a test the words of each dialect of the fake upstream in turn."""
    return VOCABULARIES[request.param]


@pytest.fixture(params=["whole", "streamed"])
def call(request: pytest.FixtureRequest, words: Vocabulary) -> Caller:
    """Give a test a call for a whole answer, and one for a stream."""
    return Caller(words, streaming=request.param == "streamed")


@pytest.fixture
def build(upstream: Upstream, http: Http, words: Vocabulary) -> Build:
    """Return a maker of providers that call the fake upstream."""

    def made(
        *, base_url: str | None = None, max_response_bytes: int = 2**20, **timeouts: float
    ) -> Provider:
        return build_provider(
            words.vendor,
            http=http,
            base_url=base_url or upstream.address(words.vendor),
            api_key=words.key,
            timeouts=Timeouts(**{"total_s": 10, **timeouts}),
            max_response_bytes=max_response_bytes,
        )

    return made


def decoded(response: InferenceResponse) -> dict[str, Any]:
    """Return a whole answer as its provider spelled it."""
    value: dict[str, Any] = orjson.loads(response.body)
    return value
