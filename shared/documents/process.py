"""One child process from the outside: started bare, asked one thing at a time, killed for good."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from shared.documents import frames
from shared.documents.extraction import ErrorCode, ExtractionError, ExtractorUnavailable, Limits

COMMAND = (sys.executable, "-s", "-m", "shared.documents.child")
# Nothing of our own environment reaches the child: no keys, no database address. The rest keeps
# its libraries to one thread each and its memory small.
ENVIRONMENT = {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "HOME": "/nonexistent",
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKIO_WORKER_THREADS": "1",
}
START_TIMEOUT_S = 30.0
LAST_WORDS = 2_000
GOING_S = 1.0
BYTES_PER_CHAR = 6  # the longest way to write one character in JSON
FRAME_SLACK = 100_000
BYTES_PER_IMAGE = 12_000_000


class ChildProcess:
    """A running child. Use `start`; after any exception but ExtractionError it must be killed."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._errors = b""
        self._drain = asyncio.create_task(self._drain_errors())
        self.documents = 0

    @classmethod
    async def start(cls, limits: Limits, *, command: Sequence[str] = COMMAND) -> "ChildProcess":
        """Start a child and wait until it is ready. Raises ExtractorUnavailable."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in our terminal is not for the child
            )
        except OSError as error:
            raise ExtractorUnavailable(f"No child could be started: {error}") from error
        child = cls(process, limits)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await child._exchange(asdict(limits))
        except (EOFError, OSError, ValueError, TimeoutError) as error:
            await child.kill()
            raise ExtractorUnavailable(
                f"A child did not get ready: {child.last_words() or error!r}"
            ) from error
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self._process.returncode is None

    async def ask(self, request: frames.Frame) -> frames.Frame:
        """Return the child's answer to one request.

        Raises ExtractionError when the time is up or the child died over this document.
        """
        self.documents += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._exchange(request)
        except TimeoutError as error:
            raise _too_slow(f"{self._limits.timeout_s:g} seconds") from error
        except (EOFError, OSError) as error:
            # Its status is wanted: asyncio loses that when it kills what just died by itself.
            await asyncio.wait([asyncio.ensure_future(self._process.wait())], timeout=GOING_S)
            await self.kill()
            raise self._post_mortem() from error
        except ValueError as error:
            raise ExtractionError(
                ErrorCode.BROKEN, "The document made its reader answer nonsense."
            ) from error

    async def kill(self) -> None:
        """End the process now, take its status, so that no zombie stays, and its last words."""
        if self.alive:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        await asyncio.wait([self._drain], timeout=GOING_S)
        self._drain.cancel()

    def last_words(self) -> str:
        """Return the end of what the child wrote to its error stream."""
        return self._errors.decode(errors="replace").strip()

    async def _exchange(self, frame: frames.Frame) -> frames.Frame:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise OSError("The child has no pipes.")
        stdin.write(frames.pack(frame))
        await stdin.drain()
        limits = self._limits
        ceiling = limits.max_text_chars * BYTES_PER_CHAR + FRAME_SLACK
        ceiling += limits.max_images * BYTES_PER_IMAGE + 2 * limits.max_input_bytes
        return await frames.receive(stdout, max_bytes=ceiling)

    async def _drain_errors(self) -> None:
        """Keep the error stream empty, as a full pipe would stop the child."""
        if self._process.stderr is None:
            return
        while chunk := await self._process.stderr.read(4096):
            self._errors = (self._errors + chunk)[-LAST_WORDS:]

    def _post_mortem(self) -> ExtractionError:
        """Say why the child died: by its own status and its last words."""
        status = self._process.returncode or 0
        if status in {-signal.SIGXCPU, -signal.SIGALRM}:
            return _too_slow(f"{self._limits.cpu_s} seconds of processor time")
        if "memory allocation" in self.last_words() or "MemoryError" in self.last_words():
            limit = f"{self._limits.memory_bytes:,} bytes"
            return ExtractionError(
                ErrorCode.OUT_OF_MEMORY, f"Reading the document needs more than {limit} of memory."
            )
        if status == -signal.SIGKILL:
            return ExtractionError(
                ErrorCode.OUT_OF_MEMORY,
                "The process reading the document was killed, most likely for want of memory.",
            )
        return ExtractionError(
            ErrorCode.BROKEN, f"The document crashed its reader (exit status {status})."
        )


def _too_slow(limit: str) -> ExtractionError:
    return ExtractionError(
        ErrorCode.TIMEOUT, f"Reading the document took more than {limit} and was stopped."
    )
