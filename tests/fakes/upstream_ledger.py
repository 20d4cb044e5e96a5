"""What the fake provider saw: one JSON line a fact, written at once, so that a kill loses nothing."""

import os
import time
from collections import deque
from pathlib import Path
from typing import Any

import orjson


class Ledger:
    """Append-only record of calls, with the counters that limits are checked against."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._window: deque[float] = deque()
        self.calls = self.answered = self.aborted = 0
        self.in_flight = self.max_in_flight = self.max_calls_1s = 0

    def received(self, call: str, **facts: object) -> None:
        """Write that a call arrived, and count it as in flight."""
        self.calls += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        now = time.monotonic()
        self._window.append(now)
        while self._window[0] <= now - 1:
            self._window.popleft()
        self.max_calls_1s = max(self.max_calls_1s, len(self._window))
        self._write({"event": "received", "call": call, **facts})

    def finished(self, call: str, *, client_gone: bool, **facts: object) -> None:
        """Write that a call was answered, or that it was aborted by either side."""
        self.in_flight -= 1
        aborted = client_gone or facts.get("status") is None
        if aborted:
            self.aborted += 1
        else:
            self.answered += 1
        event = "aborted" if aborted else "answered"
        self._write({"event": event, "call": call, "client_gone": client_gone, **facts})

    def stats(self) -> dict[str, int]:
        """Return the counters since the start; `max_calls_1s` is over any sliding second."""
        names = ("calls", "answered", "aborted", "in_flight", "max_in_flight", "max_calls_1s")
        return {name: getattr(self, name) for name in names}

    def lines(self) -> list[dict[str, Any]]:
        """Return every line of the file, those of earlier processes included."""
        return read_ledger(self.path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, fact: dict[str, object]) -> None:
        fact["at"] = time.time_ns() // 1_000_000
        fact["in_flight"], fact["max_in_flight"] = self.in_flight, self.max_in_flight
        os.write(self._file, orjson.dumps(fact) + b"\n")


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return the facts of a ledger file; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [orjson.loads(line) for line in lines[:-1] if line]
