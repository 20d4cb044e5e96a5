"""The `litellm` proxy, measured beside ours: one worker, an environment of its own, nothing fetched."""

import contextlib
import secrets
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.processes import Child
from bench.service import MODEL, free_port

INTERPRETER = processes.ROOT / ".venv" / "sdks" / "litellm" / "bin" / "python"
STARTS_WITHIN_S = 120
POLL_S = 0.2
CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-bench
litellm_settings:
  telemetry: false
  num_retries: 0
"""
ENVIRONMENT = {
    # Or it fetches a list of prices when it starts.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
}


@dataclass(frozen=True, slots=True)
class Litellm:
    """A running proxy."""

    port: int
    key: str
    child: Child


def installed() -> bool:
    """Tell whether its environment is there: `make peers` makes it."""
    return INTERPRETER.exists()


def version() -> str:
    """Return the version that is installed."""
    places = sorted(INTERPRETER.parents[1].glob("lib/*/site-packages/litellm-*.dist-info"))
    return places[0].name.split("-")[1].removesuffix(".dist") if places else "?"


@contextlib.contextmanager
def running(upstream_port: int, logs: Path) -> Iterator[Litellm]:
    """Start the proxy in front of the upstream; stop it on leaving.

    Raises:
        RuntimeError: it did not start.
    """
    config = logs / "litellm.yaml"
    config.write_text(CONFIG.format(model=MODEL, port=upstream_port))
    port = free_port()
    arguments = [str(INTERPRETER.with_name("litellm")), "--config", str(config)]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    key = f"sk-{secrets.token_hex(32)}"
    child = processes.python(
        "litellm",
        arguments,
        logs=logs,
        environment={**ENVIRONMENT, "LITELLM_MASTER_KEY": key},
        interpreter=str(INTERPRETER),
    )
    with processes.running(child):
        _await_ready(port, child)
        yield Litellm(port, key, child)


def _await_ready(port: int, child: Child) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        child.check()
        with contextlib.suppress(OSError):
            if opener.open(f"http://127.0.0.1:{port}/health/liveliness", timeout=2).status == 200:
                return
        time.sleep(POLL_S)
    raise RuntimeError(f"litellm did not start in time:\n{child.last_words()}")
