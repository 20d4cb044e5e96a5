"""Processes that a test starts, kills and stops; all of them in groups of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.polling import until

ROOT = Path(__file__).resolve().parents[2]


class NurseryClient:
    """The test's side of `tests.faults.nursery`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready\n", "the nursery did not start"

    def start(
        self, module: str, arguments: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> int:
        """Run a module as `__main__` in a process of its own; return its number."""
        given = {"do": "start", "module": module, "arguments": arguments, "log": str(log)}
        pid: int = self._ask({**given, "env": dict(env)})
        return pid

    def status(self, pid: int) -> int | None:
        """Return the exit status (negative: the signal), None while the process runs."""
        status: int | None = self._ask({"do": "status", "pid": pid})
        return status

    def close(self) -> None:
        """End the nursery; it kills what is left."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()

    def _ask(self, given: Mapping[str, Any]) -> Any:
        assert self._process.stdin
        with self._lock:
            self._process.stdin.write(json.dumps(given) + "\n")
            self._process.stdin.flush()
            return json.loads(self._read())

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


class Process:
    """One program of Penstock, started again and again; its output goes to `log`."""

    def __init__(
        self,
        nursery: NurseryClient,
        module: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
    ) -> None:
        self._nursery = nursery
        self._module = module
        self._arguments = arguments
        self._env = env
        self.log = log
        self.changes: Mapping[str, str] = {}
        self.pid: int | None = None

    @property
    def running(self) -> bool:
        """Tell whether it was started and has not ended."""
        return self.pid is not None and self._nursery.status(self.pid) is None

    def start(self, **changes: str) -> None:
        """Start it with changed settings: `start(LEASE_S="9")` is `PENSTOCK_LEASE_S=9`."""
        assert not self.running, f"{self._module} runs already"
        self.changes = changes
        settings = {f"PENSTOCK_{name}": value for name, value in changes.items()}
        env = {**self._env, **settings}
        self.pid = self._nursery.start(self._module, self._arguments, env=env, log=self.log)

    def kill(self) -> None:
        """End it and its children as a power cut does, and wait until it is gone."""
        if self.pid is not None:
            self.signal(signal.SIGKILL)
            self.wait()

    def stop(self, *, within_s: float = 40) -> int:
        """Ask it to end (SIGTERM) and return its exit status."""
        self.terminate()
        return self.wait(within_s=within_s)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), it alone, as a supervisor does."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        assert self.pid is not None
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # Just forked, it has no group of its own yet.
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, *, within_s: float = 40) -> int:
        """Wait for its end; return its exit status."""
        pid = self.pid
        assert pid is not None
        until(lambda: not self.running, f"{self._module} has ended", within_s=within_s)
        status = self._nursery.status(pid)
        assert status is not None
        # Whoever dies first must not leave the others of its group behind.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self.pid = None
        return status

    def wait_until_killed(self) -> None:
        """Wait until it has killed itself at its failpoint."""
        status = self.wait(within_s=60)
        assert status != 0, f"{self._module} ended in good order: its failpoint was not passed"

    def members(self) -> list[int]:
        """Return the numbers of its group's processes."""
        rows = _listing("pid=,pgid=")
        return [int(pid) for pid, group in rows if int(group) == self.pid]


def peak_memory_mb(pid: int) -> int:
    """Return the most memory that a process ever had (where /proc does not tell: has), 0 if gone."""
    return _from_status(pid, "VmHWM") or memory_mb(pid)


def memory_mb(pid: int) -> int:
    """Return the memory that a process has, 0 if it is gone."""
    if known := _from_status(pid, "VmRSS"):
        return known
    sizes = [int(kilobytes) for each, kilobytes in _listing("pid=,rss=") if int(each) == pid]
    return sizes[0] // 1024 if sizes else 0


def _from_status(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) // 1024
    return 0


def _listing(columns: str) -> list[list[str]]:
    command = ["ps", "-A", "-o", columns]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split() for line in shown.stdout.splitlines()]
