"""A process that has imported what Penstock imports, and forks its programs.

    python -m tests.faults.nursery

The fault tests start hundreds of processes; importing takes two seconds of CPU each time, forking
takes milliseconds. What runs in the child is the same command line (`python -m uvicorn …`,
`python -m dramatiq …`): its module is run as `__main__` with its arguments, in a session of its own.

Requests and answers are JSON lines. When standard input ends, all that was started is killed.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# Libraries and our own modules that do nothing when imported; never the entry points.
PRELOADED = (
    "api.app",
    "dramatiq.cli",
    "uvicorn.main",
    "uvicorn.loops.uvloop",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "workers.jobs",
    "workers.scheduler.leader",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
)

Run = Callable[[], None]


class Nursery:
    """Answers requests until standard input ends."""

    def __init__(self) -> None:
        self._statuses: dict[int, int | None] = {}

    def serve(self) -> Run | None:
        """Return in the parent when there is nothing more to do; in a child, what it shall run."""
        for line in sys.stdin:
            given = json.loads(line)
            if given["do"] == "start":
                pid = os.fork()
                if pid == 0:
                    return lambda: _become(given)
                self._statuses[pid] = None
                answer: Any = pid
            else:
                answer = self._status(given["pid"])
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        self._kill_all()
        return None

    def _status(self, pid: int) -> int | None:
        if self._statuses[pid] is None:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._statuses[pid] = os.waitstatus_to_exitcode(status)
        return self._statuses[pid]

    def _kill_all(self) -> None:
        for pid in self._statuses:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def _become(given: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(given["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(given["env"])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if patch := os.environ.get("PENSTOCK_FAULTS_PATCH"):
        getattr(importlib.import_module("tests.faults.patches"), patch)()
    sys.argv = [given["module"], *given["arguments"]]
    runpy.run_module(given["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    """Import, then serve."""
    # Ctrl-C is for pytest, which then closes our standard input.
    os.setsid()
    for name in PRELOADED:
        importlib.import_module(name)
    if threading.active_count() > 1:
        message = f"an import started threads, which a fork would lose: {threading.enumerate()}"
        raise RuntimeError(message)
    gc.freeze()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    run = Nursery().serve()
    if run is not None:
        run()


if __name__ == "__main__":
    main()
