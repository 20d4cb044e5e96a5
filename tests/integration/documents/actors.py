"""A child process that does what the name of its document says, and how to wait for it."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from shared.documents.extract import Extraction, Extractor
from tests.integration.documents.files_made import SAMPLES

TENANCY = SAMPLES / "letter-tenancy.txt"
# A child that does what the name of its document says.
ACTOR = """
import os, sys, time
from shared.documents import frames
def send(frame):
    sys.stdout.buffer.write(frames.pack(frame)); sys.stdout.buffer.flush()
frames.read(sys.stdin.buffer)
send({"ready": True})
while (request := frames.read(sys.stdin.buffer)):
    name = request["filename"]
    if name == "hang": time.sleep(3600)
    if name == "crash": os.kill(os.getpid(), 11)
    if name == "exit": sys.exit(3)
    if name == "memory": sys.stderr.write("memory allocation of 9 bytes failed\\n"); os.abort()
    if name == "flood": sys.stdout.buffer.write(b"\\xff" * 100); sys.stdout.buffer.flush()
    if name == "chatter": sys.stderr.write("x" * 500_000)
    send({"text": name, "pages": None, "warnings": [], "mime_type": "text/plain"})
"""
COMMAND = (sys.executable, "-c", ACTOR)


async def read(extractor: Extractor, name: str, path: Path = TENANCY) -> Extraction:
    return await extractor.extract(path, filename=name, content_type=None)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 (what is waited for is another process)
            await asyncio.sleep(0.01)


async def until_gone(pids: list[int]) -> None:
    await until(lambda: not any(exists(pid) for pid in pids))


async def until_children(extractor: Extractor, count: int) -> list[int]:
    await until(lambda: len(extractor.pids()) >= count)
    return extractor.pids()
