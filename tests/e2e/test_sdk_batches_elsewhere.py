"""Batches by Anthropic's, Google's and Mistral's own SDKs, and responses in the background by OpenAI's."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import EVERY_PROVIDER
from tests.e2e.sdk import CLIENTS, Sdk
from tests.e2e.service import Up
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.timeout(300)

TEXTS = {"one": "the first", "two": "the second", "three": "the third"}
ECHOES = {name: f"echo: {text}" for name, text in TEXTS.items()}
MODELS = [*EVERY_PROVIDER]


@pytest.fixture(scope="session", params=["anthropic-2", "anthropic-0", "anthropic-node"])
def anthropic(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """Anthropic's SDKs."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        yield running


@pytest.fixture(scope="session", params=["google-genai-3", "google-genai-1"])
def google(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """Google's SDKs."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        yield running


@pytest.fixture(scope="session")
def mistral(service: Up) -> Iterator[Sdk]:
    """Mistral's SDK."""
    with Sdk("mistralai-3", url=service.url, key=service.key) as running:
        yield running


@pytest.fixture(
    scope="session", params=["openai-1-responses", "openai-3-responses", "openai-node-chat"]
)
def openai(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """OpenAI's SDKs, as far as they do responses."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        assert running.do("version").startswith(CLIENTS[request.param].version)
        yield running


@pytest.mark.parametrize("model", MODELS)
def test_message_batches(
    anthropic: Sdk, model: str, upstream: Upstream, http: httpx.Client
) -> None:
    done = anthropic.do("batch", model=model, texts=TEXTS)

    assert done["status"] == "ended"
    assert done["counts"] == {
        "processing": 0,
        "succeeded": 3,
        "errored": 0,
        "canceled": 0,
        "expired": 0,
    }
    assert done["results"] == {name: ["succeeded", text] for name, text in ECHOES.items()}
    assert done["listed"][0] == done["id"]
    ours = http.get("/v1/batches").raise_for_status().json()["data"][0]
    assert ours["endpoint"] == "/v1/messages"


def test_what_a_provider_refuses_is_errored(anthropic: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("status", marker="the second", status=400, body={"error": {}}))

    done = anthropic.do("batch", model="gpt-any", texts=TEXTS)

    assert done["counts"]["errored"] == 1
    assert done["results"]["two"] == ["errored", "invalid_request_error"]
    assert done["results"]["one"] == ["succeeded", ECHOES["one"]]


def test_a_message_batch_is_cancelled_and_deleted(service: Up, upstream: Upstream) -> None:
    upstream.script(rule("ok", delay_ms=3000))
    with Sdk("anthropic-2", url=service.url, key=service.key) as sdk:
        done = sdk.do("cancel_batch", model="gpt-any", texts=TEXTS)

    assert done["at_once"] in ("canceling", "ended")
    assert sum(done["counts"].values()) == 3
    assert done["counts"]["processing"] == 0
    assert "canceled" in done["kinds"]
    assert done["deleted"] == "message_batch_deleted"


@pytest.mark.parametrize("model", MODELS)
def test_googles_batches(google: Sdk, model: str, upstream: Upstream) -> None:
    done = google.do("batch", model=model, texts=TEXTS)
    again = google.do("batch", model=model, texts={"one": TEXTS["one"]})

    assert (done["state"], done["display_name"]) == ("JOB_STATE_SUCCEEDED", "three")
    assert done["model"] == f"models/{model}"
    assert done["results"] == {name: [text, None] for name, text in ECHOES.items()}
    noted = google.name == "google-genai-3"
    assert done["noted"] == [{"key": name} if noted else None for name in TEXTS]
    assert again["listed"] == [again["name"], done["name"]]


def test_what_a_provider_refuses_has_an_error_in_its_place(google: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("status", marker="the second", status=400, body={"error": {}}))

    done = google.do("batch", model="gemini-any", texts=TEXTS)

    assert done["state"] == "JOB_STATE_SUCCEEDED"
    text, (code, message) = done["results"].pop("two")
    # google.rpc.Code.INVALID_ARGUMENT
    assert (text, code) == (None, 3)
    assert message
    assert done["results"] == {name: [ECHOES[name], None] for name in ("one", "three")}


def test_a_google_batch_is_cancelled_and_deleted(google: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("ok", delay_ms=3000))

    done = google.do("cancel_batch", model="gpt-any", texts=TEXTS)

    assert done["state"] == "JOB_STATE_CANCELLED"
    assert len(done["codes"]) == 3
    # google.rpc.Code.CANCELLED
    assert 1 in done["codes"]
    assert done["left"] == 0


def test_mistrals_batch_jobs(mistral: Sdk, upstream: Upstream) -> None:
    done = mistral.do("batch", model="claude-any", texts=TEXTS)

    assert done["status"] == "SUCCESS"
    assert done["counts"] == [3, 3, 0]
    assert done["results"] == ECHOES
    assert done["id"] in done["listed"]


@pytest.mark.parametrize("model", MODELS)
def test_in_the_background(openai: Sdk, model: str, upstream: Upstream) -> None:
    done = openai.do("background", model=model, text=f"take your time {openai.name}")

    assert done["at_once"] in ("queued", "in_progress")
    assert done["status"] == "completed"
    assert done["text"] == f"echo: take your time {openai.name}"
    assert done["items"] == ["message"]


@pytest.mark.parametrize("model", MODELS)
def test_left_at_event_ten_and_resumed(openai: Sdk, model: str, upstream: Upstream) -> None:
    text = f"a long answer to {openai.name}, " * 8
    upstream.script(rule(chunk_delay_ms=20))

    done = openai.do("resume", model=model, text=text, after=10)

    first, rest = done["first"], done["rest"]
    assert [number for number, _ in first] == list(range(11))
    assert [number for number, _ in rest] == list(range(11, 11 + len(rest)))
    assert first[0][1] == "response.created"
    assert rest[-1][1] == "response.completed"
    assert done["text"] == f"echo: {text}"[: len(done["text"])]
    assert len(done["text"]) > 100


def test_cancelled_for_good(service: Up, upstream: Upstream) -> None:
    upstream.script(rule("ok", delay_ms=5000))
    with Sdk("openai-3-responses", url=service.url, key=service.key) as sdk:
        done = sdk.do("cancel", model="gpt-any", text="never mind")

    assert done == {"status": "cancelled", "then": "cancelled"}
