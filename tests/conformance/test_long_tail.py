"""A provider that speaks no dialect of ours, through the extra: Cohere, by litellm."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.providers.registry import NotConfigured, build_provider
from shared.providers.transport import build_http
from tests.fakes.upstream_client import Upstream, rule

ROOT = Path(__file__).parents[2]
PYTHON = Path(sys.prefix) / "sdks" / "long-tail" / "bin" / "python"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How the weather is",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
Ask = Callable[..., dict[str, Any]]

pytestmark = [
    pytest.mark.timeout(180),  # the import alone takes seconds, on a machine at work many
    pytest.mark.xdist_group("long_tail"),
]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with Upstream(tmp_path_factory.mktemp("cohere") / "ledger.jsonl") as running:
        yield running


@pytest.fixture(scope="module")
def ask(upstream: Upstream) -> Iterator[Ask]:
    """Ask the adapter in its own environment; a model of its own for each treatment."""
    url = f"http://127.0.0.1:{upstream.port}/v2/chat"
    process = subprocess.Popen(
        [PYTHON, "-m", "tests.conformance.long_tail", url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout

    def told(do: str = "generate", *, model: str = "command-r", **rest: Any) -> dict[str, Any]:
        assert process.stdin
        assert process.stdout
        known = {name: rest.pop(name) for name in ("total_s", "key") if name in rest}
        body = {"messages": [{"role": "user", "content": "hello out there"}], **rest}
        process.stdin.write(orjson.dumps({"do": do, "model": model, "body": body, **known}) + b"\n")
        process.stdin.flush()
        answer: dict[str, Any] = orjson.loads(process.stdout.readline())
        return answer

    yield told
    process.communicate(timeout=30)


def test_a_text_comes_as_a_chat_completion(ask: Ask) -> None:
    told = ask()

    assert told["value"]["object"] == "chat.completion"
    (choice,) = told["value"]["choices"]
    assert choice["message"]["content"] == "echo: hello out there"
    assert choice["finish_reason"] == "stop"
    assert told["usage"] == [4, 6]


def test_it_is_imported_on_the_first_call(ask: Ask) -> None:
    source = "import sys, shared.providers.registry; sys.exit('litellm' in sys.modules)"

    assert subprocess.run([PYTHON, "-c", source], cwd=ROOT, check=False).returncode == 0
    ask()
    assert ask()["imported_before"]


def test_a_stream_comes_in_chunks(ask: Ask) -> None:
    told = ask("stream")

    texts = [
        choice["delta"].get("content") or ""
        for chunk in told["value"]
        for choice in chunk["choices"]
    ]
    assert len([text for text in texts if text]) > 1
    assert "".join(texts) == "echo: hello out there"
    assert {chunk["object"] for chunk in told["value"]} == {"chat.completion.chunk"}
    assert told["usage"][1] > 0


def test_a_tool_is_called(ask: Ask) -> None:
    told = ask(tools=[WEATHER], tool_choice="required")

    (choice,) = told["value"]["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert "city" in orjson.loads(call["function"]["arguments"])
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "argument",
    [
        {"base_url": "http://127.0.0.1:9/v1"},
        {"api_base": "http://127.0.0.1:9/v1"},
        {"fallbacks": [{"model": "openai/x", "api_base": "http://127.0.0.1:9/v1"}]},
        {"custom_llm_provider": "openai"},
        {"mock_response": "for nothing"},
        {"headers": {"host": "elsewhere"}},
        {"tools": [{"type": "mcp", "server_url": "http://127.0.0.1:9/mcp"}]},
    ],
    ids=lambda argument: next(iter(argument)),
)
def test_a_client_cannot_say_where_a_call_goes(
    ask: Ask, upstream: Upstream, argument: dict[str, Any]
) -> None:
    model = f"steered-by-{next(iter(argument))}"

    raised = ask(model=model, **argument)["raised"]

    assert (raised["kind"], raised["sent"]) == ("CannotDo", False)
    assert not [call for call in upstream.calls() if call["model"] == model]


def test_what_is_only_for_us_is_left_out(ask: Ask) -> None:
    said = ask(metadata={"a": "b"}, store=True, prompt_cache_key="k", penstock_x=1, seed=None)

    assert said["value"]["choices"]


def test_no_picture_is_fetched(ask: Ask) -> None:
    source = (
        "from shared.providers.long_tail import _imported; _imported();"
        "from litellm.litellm_core_utils.prompt_templates.image_handling import convert_url_to_base64 as c;"
        "c('http://127.0.0.1:9/x.png')"
    )

    run = subprocess.run([PYTHON, "-c", source], cwd=ROOT, check=False, capture_output=True)

    assert b"download is disabled" in run.stderr


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "wrong", "BadRequest"),
        (401, "no such key", "AuthFailed"),
        (404, "no such model", "ModelNotFound"),
        (429, "slow down", "RateLimited"),
        (500, "oh", "Unavailable"),
        (503, "busy", "Overloaded"),
    ],
)
def test_each_refusal_is_one_of_the_tree(
    ask: Ask, upstream: Upstream, status: int, message: str, kind: str
) -> None:
    model = f"refuses-{status}"
    upstream.script(rule("status", model=model, status=status, body={"message": message}))

    raised = ask(model=model)["raised"]

    assert (raised["kind"], raised["status"], raised["sent"]) == (kind, status, True)
    calls = [call for call in upstream.calls() if call["model"] == model]
    assert len(calls) == 1, "nobody repeats a call behind our back"


def test_a_call_that_hangs_is_closed(ask: Ask, upstream: Upstream) -> None:
    upstream.script(rule("hang", model="hangs"))

    assert ask(model="hangs", total_s=0.3)["raised"]["kind"] == "Timeout"


def test_a_stream_cut_short_is_no_answer(ask: Ask, upstream: Upstream) -> None:
    upstream.script(rule("truncate_sse", model="cut"))

    raised = ask("stream", model="cut").get("raised")

    assert raised
    assert raised["kind"] in ("Unavailable", "Malformed")


def test_what_is_no_answer_is_malformed(ask: Ask, upstream: Upstream) -> None:
    upstream.script(rule("malformed_json", model="broken"))

    raised = ask(model="broken")["raised"]

    assert raised["kind"] in ("Malformed", "Unavailable")
    assert raised["sent"]


def test_the_key_is_never_told(ask: Ask, upstream: Upstream) -> None:
    body = {"message": "the key sk-very-secret is wrong"}
    upstream.script(rule("status", model="tells", status=401, body=body))

    raised = ask(model="tells", key="sk-very-secret")["raised"]

    assert "sk-very-secret" not in raised["message"] + raised["body"]
    assert "[key]" in raised["message"]


async def test_without_the_extra_the_operator_is_told() -> None:
    http = build_http()
    with pytest.raises(NotConfigured, match=r"penstock\[litellm\]"):
        build_provider("cohere", http=http, api_key="k")
    await http.aclose()
