"""The `penstock` command as a user runs it: a process of its own, in a folder of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.integration.cli.processes import await_that, command, find
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
STARTS_WITHIN_S = 100
ENDS_WITHIN_S = 60


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a user who has set nothing but this."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PENSTOCK_", "OPENAI_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), **changes}


def penstock(*arguments: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end."""
    return subprocess.run(
        [sys.executable, "-m", "api.cli", *arguments],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


class Up:
    """A running `penstock up` with everything embedded."""

    def __init__(self, folder: Path, *options: str, **changes: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / f"up-{self.port}.log"
        self.data = folder / "data"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api.cli", "up", "--port", str(self.port), *options],
                cwd=folder,
                env=environment(PENSTOCK_DATA_DIR=str(self.data), **changes),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        """Everything that it and its children have written."""
        return self.log.read_text("utf-8", "replace")

    @property
    def key(self) -> str:
        """The administrator's key."""
        return (self.data / "admin.key").read_text().strip()

    def await_ready(self) -> None:
        """Return once it has said that it is ready."""
        await_that(
            lambda: self.process.poll() is not None or "ready at" in self.said, STARTS_WITHIN_S
        )
        assert self.process.poll() is None, self.said

    def processes(self) -> list[int]:
        """Return every process that belongs to it, itself excepted."""
        return [pid for pid in find(str(self.data)) if pid != self.process.pid]

    def workers(self) -> list[int]:
        """Return the processes that work: Dramatiq's parents are not among them."""
        return sorted(pid for pid in self.processes() if "dramatiq" in command(pid))

    def chat(self, text: str) -> Any:
        """Have a job done by the sandbox and return it."""
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": text}]}
        job = {"endpoint": "/v1/chat/completions", "body": body}
        headers = {"Authorization": f"Bearer {self.key}", "Prefer": "wait=50"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False) as http:
            return http.post("/v1/jobs", json=job).raise_for_status().json()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Return its exit code once it has ended."""
        return self.process.wait(ENDS_WITHIN_S)

    def clean_up(self) -> None:
        """Leave nothing behind, whatever a test did."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
