"""Processes of the bench: started with their output kept, measured from /proc, ended whole."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
ENDS_WITHIN_S = 35
PROC = Path("/proc")


@dataclass(slots=True)
class Child:
    """A process that we started, with all that it started in turn."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path

    @property
    def pids(self) -> list[int]:
        """Return the ids of the whole tree, its root first."""
        return tree(self.process.pid)

    def cpu_s(self) -> float:
        """Return the CPU seconds that the tree has used, those of its ended children included."""
        return sum(cpu_seconds(pid) for pid in self.pids)

    def rss_mb(self) -> float:
        """Return the largest peak of resident memory of any one process of the tree, in MB."""
        return max((peak_mb(pid) for pid in self.pids), default=0.0)

    def check(self) -> None:
        """Raise with the end of its log if it has ended.

        Raises:
            RuntimeError: it has.
        """
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])

    def kill_tree(self) -> None:
        """Kill every process of the tree at once, as a machine that goes down would."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in good order; kill what does not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill_tree()


def python(
    name: str,
    arguments: Sequence[str],
    *,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    interpreter: str = sys.executable,
) -> Child:
    """Start Python with these arguments from the root of the repository."""
    log = logs / f"{name}.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [interpreter, *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if name == "upstream" else sink,
            stderr=sink,
            text=True,
            # Ctrl-C is ours to pass on, or the order of the ends would be lost.
            start_new_session=True,
        )
    return Child(name, process, log)


@contextlib.contextmanager
def running(child: Child) -> Iterator[Child]:
    """Stop the process on leaving."""
    try:
        yield child
    finally:
        child.stop()


def run_json(
    arguments: Sequence[str], *, timeout_s: float, at_line: Callable[[], None] | None = None
) -> str:
    """Run Python to its end and return the last line that it printed.

    `at_line` is called at the first line, which is then not the last.

    Raises:
        RuntimeError: it failed; with the end of what it said.
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            if at_line is not None and process.stdout is not None and process.stdout.readline():
                at_line()
            said, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            process.kill()
            raise
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(arguments[:2])} failed:\n{errors.read()[-3000:]}")
    return said.strip().splitlines()[-1]


def tree(root: int) -> list[int]:
    """Return a process id and those of all its living descendants."""
    found = [root]
    for pid in found:
        for path in PROC.glob(f"{pid}/task/*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in path.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and of its reaped children; 0 when it is gone."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


def peak_mb(pid: int) -> float:
    """Return the peak of resident memory; 0 when the process is gone."""
    return _memory_mb(pid, "VmHWM:")


def resident_mb(pid: int) -> float:
    """Return the resident memory of now; 0 when the process is gone."""
    return _memory_mb(pid, "VmRSS:")


def _memory_mb(pid: int, name: str) -> float:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), 0.0)
