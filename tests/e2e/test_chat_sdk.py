"""OpenAI's own SDK, of both majors, against real processes and a provider that can misbehave."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.sdk_program import SAID
from tests.e2e.service import ROOT, Up, environment
from tests.fakes.upstream_client import Upstream, rule
from tests.integration.cli.processes import await_that

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).with_name("sdk_program.py")
INTERPRETERS = {
    "3": Path(sys.executable),
    "1": ROOT / ".venv" / "sdks" / "openai-1" / "bin" / "python",
}
CONFIG = """
[[deployments]]
name = "up"
provider = "openai-compatible"
model = "fake"
base_url = "{base_url}"
keys = ["sk-test"]
rpm = 60000
price = {{ input_usd = 1.0, output_usd = 2.0 }}

[[routes]]
model = "team/best model:1"
deployments = ["up"]
"""
REFUSAL = {"error": {"message": "no", "type": "invalid_request_error", "code": "not_this"}}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with Upstream(tmp_path_factory.mktemp("upstream") / "ledger.jsonl") as upstream:
        upstream.script(
            rule("status", marker="refuse me", status=400, body=REFUSAL),
            rule("reset", marker="break in the middle", times=2),
            rule("hang", marker="say nothing"),
            rule("ok", marker="take your time", chunk_delay_ms=300, content="slowly " * 200),
        )
        yield upstream


@pytest.fixture(scope="module")
def service(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("service")
    (folder / "penstock.toml").write_text(CONFIG.format(base_url=upstream.base_url))
    up = Up(folder)
    up.await_ready()
    yield up
    up.clean_up()


@pytest.fixture(scope="module", params=INTERPRETERS)
def seen(request: pytest.FixtureRequest, service: Up) -> Any:
    """Return what the program saw under one major of the SDK."""
    done = subprocess.run(
        [str(INTERPRETERS[request.param]), str(PROGRAM), f"{service.url}/v1", service.key],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["version"].startswith(f"{request.param}.")
    return found


def test_an_answer_whole(seen: Any) -> None:
    whole = seen["whole"]

    assert whole["text"] == f"echo: {SAID}"
    assert whole["tokens"] > 0
    assert whole["request_id"].startswith("req_")
    assert len(whole["headers"]) == 3


def test_an_answer_in_chunks(seen: Any) -> None:
    assert seen["stream"] == {
        "text": f"echo: {SAID}",
        "role": "assistant",
        "ids": 1,
        "finish": "stop",
        "usage": [],
    }


def test_usage_in_the_last_chunk(seen: Any) -> None:
    usage = seen["stream_with_usage"]

    assert usage["before"] == usage["choices"] == []
    assert usage["tokens"] == seen["whole"]["tokens"]


def test_the_sdks_own_stream(seen: Any) -> None:
    helped = seen["stream_helper"]

    assert (helped["text"], helped["role"]) == (f"echo: {SAID}", "assistant")
    assert {"chunk", "content.delta", "content.done"} <= set(helped["kinds"])


def test_schemas_tools_vectors_and_models(seen: Any) -> None:
    assert seen["parsed"] == 1.5
    assert seen["tools"] == {"name": "weather", "finish": "tool_calls"}
    assert seen["vectors"] == {"dimensions": 8, "alike": True}
    assert seen["models"]["one"] == "team/best model:1"
    assert {"up", "team/best model:1", "sandbox/echo"} <= set(seen["models"]["listed"])


def test_failures_have_their_classes(seen: Any) -> None:
    refused = {"class": "BadRequestError", "code": "not_this"}
    assert seen["failures"] == {
        "refused": refused,
        "refused stream": refused,
        "nobody": {"class": "NotFoundError", "code": "model_not_found"},
        "broken": {"class": "APIError", "code": "stream_broken"},
        "silent": {"class": "InternalServerError", "code": "sync_timeout"},
    }


def test_who_leaves_is_billed_for_what_was_generated(seen: Any, service: Up) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}

    def job() -> Any:
        reply = httpx.get(
            f"{service.url}/v1/jobs/{seen['leaving']}", headers=headers, trust_env=False
        )
        return reply.json()

    await_that(lambda: job()["status"] == "cancelled")
    [attempt] = job()["attempts"]
    assert attempt["status"] == "interrupted"
    assert attempt["possibly_billed"]
    assert attempt["first_token_ms"] is not None
    assert attempt["usage"]["output_tokens"] > 0
    assert float(attempt["cost_usd"]) > 0


def test_who_stops_waiting_for_a_whole_answer_ends_its_job(service: Up) -> None:
    headers = {"Authorization": f"Bearer {service.key}"}
    asked = {"model": "up", "messages": [{"role": "user", "content": "say nothing"}]}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/chat/completions", json=asked, timeout=0.5)
        [job] = http.get("/v1/jobs", params={"limit": 1}).json()["data"]
        await_that(lambda: http.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled")


def test_who_leaves_frees_the_provider(seen: Any, upstream: Upstream) -> None:
    assert seen["leaving"]
    await_that(lambda: upstream.stats()["in_flight"] == 0)
    assert upstream.stats()["aborted"] > 0
