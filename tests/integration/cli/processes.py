"""Looking at real processes: who lives, and who is whose child."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not yet reaped does not."""
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def gone(pid: int) -> bool:
    """Tell whether a process runs no more."""
    return not lives(pid)


def find(word: str) -> list[int]:
    """Return the processes, ours excepted, whose environment or command line holds a word."""
    folders = (each for each in PROC.iterdir() if each.name.isdecimal() and _mentions(each, word))
    pids = [int(folder.name) for folder in folders]
    return [pid for pid in pids if pid != os.getpid() and lives(pid)]


def command(pid: int) -> str:
    """Return a process's command line, empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def await_that(true: Callable[[], object], within_s: float = 30) -> None:
    """Wait until something is true.

    Raises:
        AssertionError: it was not in time.
    """
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not so within {within_s} s"
        time.sleep(0.05)


async def until(true: Callable[[], object], within_s: float = 30) -> None:
    """Wait until something is true, while the event loop goes on.

    Raises:
        TimeoutError: it was not in time.
    """
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110  other processes set no events
            await asyncio.sleep(0.01)


def _mentions(folder: Path, word: str) -> bool:
    for name in ("cmdline", "environ"):
        try:
            if word.encode() in (folder / name).read_bytes():
                return True
        except OSError:
            continue
    return False
