"""One whole service for the tests that only call it: real processes, and a provider that is told what to do."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.sdk import MAJORS, Sdk
from tests.e2e.service import Up
from tests.fakes.upstream_client import Upstream

MODEL = "gpt-test"
INPUT_USD, OUTPUT_USD = 1.0, 2.0
MOST_QUEUED = 60
CONFIG = """\
[[deployments]]
name = "{model}"
provider = "openai-compatible"
model = "{model}"
base_url = "{base_url}"
keys = ["sk-e2e-{model}"]
rpm = 6000
tpm = 10_000_000
concurrency = 64
price = {{ input_usd = {input}, output_usd = {output} }}
"""
EVERY_PROVIDER = {
    "gpt-any": "openai-compatible",
    "claude-any": "anthropic",
    "gemini-any": "gemini",
    "responses-any": "openai-responses",
}
"""A model at a provider of each kind."""
BY_ADDRESS = {"azure-any": "azure", "azure-v1-any": "azure-v1", "vertex-any": "vertex"}
"""And at those who have their own paths and keys for what others speak as well."""
ANY_CONFIG = """\
[[deployments]]
name = "{name}"
provider = "{provider}"
model = "{name}"
base_url = "{base_url}"
keys = ["{key}"]
vision = true

[[routes]]
model = "{name}"
deployments = ["{name}"]
# What one test has fail on purpose is not to be left alone for the next.
breaker = {{ min_calls = 1000 }}
"""
KEYS = {"vertex": "ya29.e2e"}
SETTINGS = {
    "PENSTOCK_WEBHOOK_ALLOW_PRIVATE": "true",
    "PENSTOCK_MAX_QUEUED_JOBS_PER_TENANT": str(MOST_QUEUED),
    "PENSTOCK_BACKOFF_BASE_S": "0.05",
    "PENSTOCK_BACKOFF_CAP_S": "0.2",
}


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The fake provider's process."""
    with Upstream(tmp_path_factory.mktemp("provider") / "ledger.jsonl") as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Iterator[Upstream]:
    """The fake provider, without anything that another test told it."""
    provider.clear()
    yield provider
    provider.clear()
    provider.release()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, provider: Upstream) -> Iterator[Up]:
    """`penstock up` with a deployment at the fake provider."""
    folder = tmp_path_factory.mktemp("service")
    # What was refused or overloaded is left alone for a while: it must be nobody else's.
    models = (MODEL, *(f"{trouble}-{name}" for trouble in ("barred", "busy") for name in MAJORS))
    config = "\n".join(
        CONFIG.format(model=model, base_url=provider.base_url, input=INPUT_USD, output=OUTPUT_USD)
        for model in models
    )
    config += "\n".join(
        ANY_CONFIG.format(
            name=name, provider=kind, base_url=provider.address(kind), key=KEYS.get(kind, "sk-e2e")
        )
        for name, kind in {**EVERY_PROVIDER, **BY_ADDRESS}.items()
    )
    (folder / "penstock.toml").write_text(config)
    up = Up(folder, **SETTINGS)
    try:
        up.await_ready()
        yield up
    finally:
        up.clean_up()


@pytest.fixture(scope="session")
def http(service: Up) -> Iterator[httpx.Client]:
    """A plain client with the administrator's key."""
    headers = {"Authorization": f"Bearer {service.key}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session", params=MAJORS)
def sdk(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """The SDK, one major after the other."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        assert running.do("version").startswith(MAJORS[request.param])
        yield running


@pytest.fixture(scope="session")
def newest(service: Up) -> Iterator[Sdk]:
    """The SDK's newest major."""
    with Sdk("openai-3", url=service.url, key=service.key) as running:
        yield running
