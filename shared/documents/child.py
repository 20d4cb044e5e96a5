"""The process that reads documents: `python -m shared.documents.child`.

It may be killed at any moment and takes nobody along. It holds no secret: the environment it gets
is empty but for the import path. It cannot write a file, and it dies on its own when a document
takes too long, even if the extractor that started it is gone.
"""

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from shared.documents import frames
from shared.documents.extraction import ErrorCode, ExtractionError, Images, Limits
from shared.documents.reading import read

PAGE_BYTES = resource.getpagesize()
ORPHAN_GRACE_S = 5.0
MAX_OPEN_FILES = 64


def main() -> None:
    """Answer one request frame after the other until the input ends."""
    source = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the frames
    hello = frames.read(source)
    if hello is None:
        return
    limits = Limits(**hello)  # type: ignore[arg-type]
    _restrict(limits)
    _send(answers, {"ready": True})
    with asyncio.Runner() as runner:
        while (request := frames.read(source)) is not None:
            _arm(limits)
            _send(answers, runner.run(_answer(request, limits)))
            signal.setitimer(signal.ITIMER_REAL, 0)


def _restrict(limits: Limits) -> None:
    """Set the ceilings that hold for the life of this process."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _lower(resource.RLIMIT_AS, _address_space() + limits.memory_bytes)


def _lower(what: int, value: int) -> None:
    """Set a ceiling for good; one that is lower already stays."""
    hard = resource.getrlimit(what)[1]
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (ceiling, ceiling))


def _address_space() -> int:
    """Return the bytes of address space in use (libraries mapped at the start are most of it)."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * PAGE_BYTES
    except OSError:
        return 0  # no /proc: then the ceiling is the allowance alone


def _arm(limits: Limits) -> None:
    """Give the next document its processor time and its wall time: the kernel ends us after them."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = spent + limits.cpu_s
    soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    signal.setitimer(signal.ITIMER_REAL, limits.timeout_s + ORPHAN_GRACE_S)


async def _answer(request: frames.Frame, limits: Limits) -> frames.Frame:
    path, content_type = Path(str(request["path"])), request["content_type"]
    try:
        found = await read(
            path.read_bytes(),  # noqa: ASYNC240 (nothing else runs in this process)
            filename=str(request["filename"]),
            content_type=None if content_type is None else str(content_type),
            limits=limits,
            images=Images(str(request.get("images", Images.NONE))),
        )
    except ExtractionError as error:
        return {"code": error.code, "message": error.message}
    except MemoryError:
        return _out_of_memory(limits)
    except RecursionError:
        return {"code": ErrorCode.BROKEN, "message": "The document is nested too deep."}
    except Exception as error:  # noqa: BLE001 (parsers raise anything on damaged files)
        message = f"The document is damaged: reading it failed with {type(error).__name__}."
        return {"code": ErrorCode.BROKEN, "message": message}
    warnings: list[JsonValue] = list(found.warnings)
    return {
        "text": found.text,
        "pages": found.pages,
        "warnings": warnings,
        "mime_type": found.mime_type,
        "page_starts": [list(start) for start in found.page_starts],
        "images": [[each.page, each.mime_type, each.data] for each in found.images],
    }


def _out_of_memory(limits: Limits) -> frames.Frame:
    message = f"Reading the document needs more than {limits.memory_bytes:,} bytes of memory."
    return {"code": ErrorCode.OUT_OF_MEMORY, "message": message}


def _send(stream: BinaryIO, frame: frames.Frame) -> None:
    stream.write(frames.pack(frame))
    stream.flush()


if __name__ == "__main__":
    main()
