"""The same provider surface twice: the sandbox, and the OpenAI adapter against the fake upstream."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest

from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Http, Timeouts, build_http
from tests.fakes.upstream_client import Upstream, rule

Build = Callable[..., Provider]


@dataclass(frozen=True)
class Subject:
    """A provider, and how to make it misbehave on a model of its own."""

    provider: Provider
    upstream: Upstream | None

    def hanging(self) -> str:
        """Return a model that does not answer in the time of a test."""
        return self._model("slow-600000ms", "hang")

    def failing(self, status: int) -> str:
        """Return a model that fails with a status."""
        return self._model(f"error-{status}", "status", status=status)

    def short(self) -> str:
        """Return a model whose context is a few tokens."""
        error = {"message": "too long", "code": "context_length_exceeded"}
        return self._model("context-5", "status", status=400, body={"error": error})

    def dawdling(self) -> str:
        """Return a model that takes its time between the chunks of a stream."""
        return self._model("chunks-20ms", "ok", chunk_delay_ms=20)

    def _model(self, sandbox: str, action: str, **options: object) -> str:
        if self.upstream is not None:
            self.upstream.script({**rule(action, model=sandbox), **options})
        return sandbox


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


@pytest.fixture(params=["sandbox", "openai_compatible"])
async def subject(
    request: pytest.FixtureRequest, upstream: Upstream, http: Http
) -> AsyncIterator[Subject]:
    """Give a test each of the two providers in turn."""
    if request.param == "sandbox":
        subject = Subject(build_provider("sandbox", http=http), None)
    else:
        provider = build_provider(
            "openai",
            http=http,
            base_url=upstream.base_url,
            api_key="sk-conformance",
            timeouts=Timeouts(total_s=30),
        )
        subject = Subject(provider, upstream)
    yield subject
    await subject.provider.aclose()


@pytest.fixture
def build(upstream: Upstream, http: Http) -> Build:
    """Return a maker of providers that call the fake upstream."""

    def made(
        *, base_url: str | None = None, max_response_bytes: int = 2**20, **timeouts: float
    ) -> Provider:
        return build_provider(
            "openai",
            http=http,
            base_url=base_url or upstream.base_url,
            api_key="sk",
            timeouts=Timeouts(**{"total_s": 10, **timeouts}),
            max_response_bytes=max_response_bytes,
        )

    return made
