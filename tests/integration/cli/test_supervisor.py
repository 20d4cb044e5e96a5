"""Real children: restarted when they crash, stopped in order, never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from api.cli import supervisor
from api.cli.supervisor import Child, Program, Supervisor
from tests.integration.cli.processes import await_that, find, gone, lives, until

ROOT = Path(__file__).parents[3]
POLITE = """
import os, signal, sys, time
log = open(sys.argv[2], "a", buffering=1)
def leave(*_):
    log.write(sys.argv[1] + " leaves\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
log.write(f"{sys.argv[1]} {os.getpid()}\\n")
time.sleep(600)
"""
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[2], "a").write(f"{sys.argv[1]} {os.getpid()} {child.pid}\\n")
time.sleep(600)
"""


class Stage:
    """Children that write to one log, and what was reported of them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.reports: list[str] = []

    def child(self, name: str, code: str = POLITE, *, patience_s: float = 20) -> Child:
        """Return a child that runs some Python."""
        command = [sys.executable, "-c", code, name, str(self.log)]
        program = Program(name, command, patience_s)
        report = self.reports.append
        return Child(program, environment=dict(os.environ), output=None, report=report)

    def lines(self) -> list[str]:
        """Return what the children have written."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def wait_for_lines(self, count: int) -> list[str]:
        """Return the lines once there are so many."""
        await until(lambda: len(self.lines()) >= count)
        return self.lines()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "log")


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.01)


async def test_a_crashed_child_is_started_again(stage: Stage, no_delay: None) -> None:
    child = stage.child("api")
    child.start()
    (first,) = await stage.wait_for_lines(1)

    os.kill(int(first.split()[1]), signal.SIGKILL)
    _, second = await stage.wait_for_lines(2)
    await child.stop()

    assert second != first
    assert stage.reports == ["api was killed by SIGKILL: it is started again in 0.01 s."]
    assert stage.lines()[-1] == "api leaves"
    assert not lives(int(second.split()[1]))


async def test_what_crashes_always_is_started_less_and_less_often(
    stage: Stage, no_delay: None
) -> None:
    child = stage.child("worker", "import sys; sys.exit(3)")
    child.start()
    await until(lambda: len(stage.reports) >= 3)
    await child.stop()

    assert [report.split(":")[0] for report in stage.reports[:3]] == [
        "worker ended with exit code 3"
    ] * 3
    assert [report.split()[-2] for report in stage.reports[:3]] == ["0.01", "0.02", "0.04"]


async def test_what_cannot_be_started_is_tried_again(stage: Stage, no_delay: None) -> None:
    program = Program("api", ["/nonexistent/program"], 1)
    child = Child(program, environment={}, output=None, report=stage.reports.append)
    child.start()
    await until(lambda: len(stage.reports) >= 2)
    await child.stop()

    assert "cannot be started (No such file or directory)" in stage.reports[0]


async def test_stages_stop_one_after_the_other(stage: Stage) -> None:
    supervised = Supervisor(
        [[stage.child("api")], [stage.child("one"), stage.child("two")], [stage.child("scheduler")]]
    )
    supervised.start()
    await stage.wait_for_lines(4)

    await supervised.stop()

    left = [line.split()[0] for line in stage.lines()[4:]]
    assert left[0] == "api"
    assert set(left[1:3]) == {"one", "two"}
    assert left[3] == "scheduler"
    assert stage.reports == []


async def test_who_does_not_leave_is_killed_with_its_children(stage: Stage) -> None:
    child = stage.child("worker", STUBBORN, patience_s=0.2)
    child.start()
    (line,) = await stage.wait_for_lines(1)

    await child.stop()

    _, leader, grandchild = line.split()
    assert not lives(int(leader))
    await_that(partial(gone, int(grandchild)))
    assert "has not ended in 0.2 s" in stage.reports[0]


async def test_a_killed_child_leaves_no_grandchild(stage: Stage, no_delay: None) -> None:
    child = stage.child("worker", STUBBORN, patience_s=0.2)
    child.start()
    (line,) = await stage.wait_for_lines(1)
    _, leader, grandchild = line.split()

    os.kill(int(leader), signal.SIGKILL)
    await stage.wait_for_lines(2)

    await_that(partial(gone, int(grandchild)))
    await child.stop()


async def test_kill_ends_everything_at_once(stage: Stage) -> None:
    supervised = Supervisor([[stage.child("api", STUBBORN)], [stage.child("worker", STUBBORN)]])
    supervised.start()
    lines = await stage.wait_for_lines(2)

    supervised.kill()
    async with asyncio.timeout(10):
        await supervised.stop()

    for line in lines:
        leader, grandchild = map(int, line.split()[1:])
        assert not lives(leader)
        await_that(partial(gone, grandchild))
    assert stage.reports == []


async def test_stopping_while_it_starts_leaves_nothing(stage: Stage) -> None:
    child = stage.child("api")
    child.start()
    # The child is about to be spawned: it has not even a process id yet.
    await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await child.stop()

    assert find(str(stage.log)) == []


KILLED_PARENT = """
import asyncio, os, sys
from api.cli.supervisor import Child, Program
async def main():
    program = Program("api", [sys.executable, "-c", sys.argv[1], "api", sys.argv[2]], 5)
    Child(program, environment=dict(os.environ), output=None, report=print).start()
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def start_parent(stage: Stage) -> Callable[[], subprocess.Popen[bytes]]:
    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", KILLED_PARENT, POLITE, str(stage.log)]
        return subprocess.Popen(command, cwd=ROOT)

    return start


async def test_children_end_with_a_killed_parent(
    stage: Stage, start_parent: Callable[[], subprocess.Popen[bytes]]
) -> None:
    parent = start_parent()
    (line,) = await stage.wait_for_lines(1)

    parent.kill()
    parent.wait()

    assert await stage.wait_for_lines(2) == [line, "api leaves"]
    await_that(partial(gone, int(line.split()[1])))
