"""Start, script and question the fake provider from a test; synchronous, so that fixtures can."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import orjson

from tests.fakes.upstream_doors import LOCATION, PROJECT
from tests.fakes.upstream_ledger import read_ledger

ROOT = Path(__file__).resolve().parents[2]


def rule(
    action: str = "ok",
    *,
    model: str | None = None,
    marker: str | None = None,
    key: str | None = None,
    times: int | None = None,
    **options: object,
) -> dict[str, object]:
    """Return one rule for `Upstream.script`: what to do, for which calls, how often (None: always).

    Actions and their options: `ok` (`content`, `output_tokens`, `usage`, `headers`,
    `chunk_delay_ms`, and with it `stalls_at`: the event that never comes), `status` (`status`,
    `headers`, `body`), `hang`, `drip` (`interval_ms`),
    `reset` (`at="start"` or in the body), `truncate_sse`, `missing_done` (`finish_reason=False`),
    `malformed_json`, `empty_choices`, `error_in_200` and `error_mid_stream` (`error`), `no_usage`,
    `huge` (`mb`), `gate`. Every action takes `delay_ms`, and `every=5` for each fifth call only.
    """
    wanted = {"model": model, "marker": marker, "key": key}
    match = {name: value for name, value in wanted.items() if value is not None}
    return {"action": action, "match": match, "times": times, **options}


class Upstream:
    """The fake provider's process; use it as a context manager or call `stop`."""

    def __init__(self, ledger: Path, *, port: int = 0, latency_ms: float = 0) -> None:
        self.ledger = ledger
        command = [sys.executable, "-m", "tests.fakes.upstream", "--watch-stdin"]
        command += ["--port", str(port), "--ledger", str(ledger), "--latency-ms", str(latency_ms)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if not first:
            self.stop()
            message = "the fake provider did not start"
            raise RuntimeError(message)
        self.port = int(first)

    @property
    def base_url(self) -> str:
        """Return what a deployment names as its `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def address(self, vendor: str) -> str:
        """Return what a deployment at a vendor with an address of its own names as its `base_url`."""
        root = f"http://127.0.0.1:{self.port}"
        of_vertex = f"v1/projects/{PROJECT}/locations/{LOCATION}/publishers/google"
        paths = {
            "anthropic": "",
            "azure": "openai",
            "azure-v1": "openai/v1",
            "gemini": "v1beta",
            "vertex": of_vertex,
        }
        return f"{root}/{paths.get(vendor, 'v1')}".rstrip("/")

    def script(self, *rules: Mapping[str, object]) -> None:
        """Add rules (see `rule`); the first that fits a call decides it."""
        self._control("POST", "/_script", {"rules": list(rules)})

    def clear(self) -> None:
        """Forget every rule; calls at the gate stay there."""
        self._control("POST", "/_clear")

    def release(self, count: int | None = None) -> int:
        """Answer the calls that wait at the gate, the oldest first; return how many."""
        released: int = self._control("POST", "/_release", {"count": count})["released"]
        return released

    def stats(self) -> dict[str, int]:
        """Return `calls`, `answered`, `aborted`, `in_flight`, `max_in_flight`, `max_calls_1s`, `gated`."""
        counters: dict[str, int] = self._control("GET", "/_stats")
        return counters

    def facts(self) -> list[dict[str, Any]]:
        """Return the ledger's lines, from its file: they outlive the process."""
        return read_ledger(self.ledger)

    def calls(self, *, marker: str = "", model: str = "") -> list[dict[str, Any]]:
        """Return one row a call received, in order, with how it ended.

        A row has `call`, `at`, `model`, `marker`, `key`, `path`, `peer`, `stream`, and, once over,
        `ended_at`, `event` (`answered` or `aborted`), `status`, `usage`, `client_gone`.
        """
        rows: dict[str, dict[str, Any]] = {}
        for fact in self.facts():
            if fact["event"] == "received":
                rows[fact["call"]] = fact
            elif fact["call"] in rows:
                row = rows[fact["call"]]
                row["ended_at"] = fact["at"]
                row |= {name: fact[name] for name in ("event", "status", "usage", "client_gone")}
        found = rows.values()
        return [row for row in found if marker in row["marker"] and model in row["model"]]

    def wait(self, condition: Callable[[dict[str, int]], bool], *, within_s: float = 10) -> None:
        """Wait until the counters satisfy a condition.

        Raises:
            TimeoutError: they did not, in time.
        """
        deadline = time.monotonic() + within_s
        while not condition(counters := self.stats()):
            if time.monotonic() > deadline:
                message = f"the fake provider did not get there: {counters}"
                raise TimeoutError(message)
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill the process without warning."""
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        """Stop the process and wait for it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        """Return the running provider."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def _control(self, method: str, path: str, given: object = None) -> Any:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request(method, path, orjson.dumps(given) if given else None)
            response = connection.getresponse()
            body = response.read()
        if response.status != 200:
            message = f"{path}: {response.status} {body.decode()}"
            raise ValueError(message)
        return orjson.loads(body)
