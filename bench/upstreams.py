"""The upstream as the bench holds it: a process to start, to ask and to reset."""

import contextlib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench import processes
from bench.processes import Child

# Loopback never goes through a proxy, whatever the environment says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Upstream:
    """A running upstream."""

    port: int
    child: Child

    def stats(self) -> dict[str, Any]:
        """Return what it saw since the last reset."""
        return self._ask("/stats")

    def reset(
        self, *, delay_ms: int, pause_ms: int = 0, spread_ms: int = 0, trouble: str = ""
    ) -> None:
        """Begin a new count, with another latency, and another pause between chunks.

        Answers take up to `spread_ms` longer, each for itself. `trouble`: see `upstream_trouble`.
        """
        asked = f"delay_ms={delay_ms}&pause_ms={pause_ms}&spread_ms={spread_ms}&trouble={trouble}"
        self._ask(f"/reset?{asked}", method="POST")

    def _ask(self, path: str, *, method: str = "GET") -> dict[str, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with _OPENER.open(request, timeout=10) as answer:
            said: dict[str, Any] = orjson.loads(answer.read())
        return said


@contextlib.contextmanager
def running(logs: Path) -> Iterator[Upstream]:
    """Start the upstream on a free port; stop it on leaving."""
    child = processes.python("upstream", ["-m", "bench.upstream"], logs=logs)
    with processes.running(child):
        if child.process.stdout is None or not (line := child.process.stdout.readline()):
            raise RuntimeError(f"the upstream did not start: {child.last_words()}")
        yield Upstream(int(line), child)
