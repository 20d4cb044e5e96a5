"""Keeps programs running: starts them, restarts what crashes, stops them in order, leaves none behind."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import IO

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STEADY_S = 30.0
"""A program that ran this long has recovered: its next crash is its first again."""
PR_SET_PDEATHSIG = 1

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A command line, and how many seconds it may take to end after SIGTERM."""

    name: str
    command: Sequence[str]
    patience_s: float


class Child:
    """One program, in a process group of its own so that Ctrl-C at the terminal does not reach it."""

    def __init__(
        self,
        program: Program,
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | None,
        report: Report,
    ) -> None:
        self.program = program
        self._environment = environment
        self._output = output
        self._report = report
        self._stopping = asyncio.Event()
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep it running."""
        self._task = asyncio.create_task(self._keep_running(), name=self.program.name)

    async def stop(self) -> None:
        """Ask it to end; after its patience it is killed, with all that it started."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=self.program.patience_s)
        if late:
            self._report(
                f"{self.program.name} has not ended in {self.program.patience_s:g} s: killed."
            )
            self.kill()
        await self._task

    def kill(self) -> None:
        """End it and all that it started at once."""
        self._stopping.set()
        if self._process is not None:
            _kill_group(self._process.pid)

    async def _keep_running(self) -> None:
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            started = monotonic()
            fate = await self._run_once()
            if self._stopping.is_set():
                return
            if monotonic() - started > STEADY_S:
                delay_s = FIRST_DELAY_S
            self._report(f"{self.program.name} {fate}: it is started again in {delay_s:g} s.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _run_once(self) -> str:
        """Run it until it ends; return how that came about."""
        try:
            self._process = await self._spawn()
        except OSError as error:
            return f"cannot be started ({error.strerror})"
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        status = await self._process.wait()
        # A program that was killed may leave children of its own behind.
        _kill_group(self._process.pid)
        return _fate(status)

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self.program.command,
            env=self._environment,
            stdin=DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class Supervisor:
    """Children in stages: all start together, and stop one stage after the other."""

    def __init__(self, stages: Sequence[Sequence[Child]]) -> None:
        self._stages = stages

    def start(self) -> None:
        """Start every child."""
        for stage in self._stages:
            for child in stage:
                child.start()

    async def stop(self) -> None:
        """Stop the stages in their order; returns when nothing runs any more."""
        for stage in self._stages:
            await asyncio.gather(*(child.stop() for child in stage))

    def kill(self) -> None:
        """Kill everything at once; `stop` then has nothing to wait for."""
        for stage in self._stages:
            for child in stage:
                child.kill()


def _fate(status: int) -> str:
    if status >= 0:
        return f"ended with exit code {status}"
    return f"was killed by {signal.Signals(-status).name}"


def _kill_group(leader: int) -> None:
    # macOS answers EPERM where Linux says that there is no such group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _die_with_parent() -> Callable[[], None] | None:
    """Return what makes a child end when we are killed, where the kernel offers that."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return in_child
