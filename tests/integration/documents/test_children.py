"""The life of the children: what they cost, what they see, and what their death does."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.documents.extract import (
    ErrorCode,
    ExtractionError,
    Extractor,
    ExtractorUnavailable,
)
from shared.documents.extraction import Limits
from tests.integration.documents.actors import (
    COMMAND,
    TENANCY,
    read,
    until,
    until_children,
    until_gone,
)
from tests.integration.documents.files_made import SAMPLES, pdf

ROOT = Path(__file__).parents[3]
COFFEE = SAMPLES / "invoice-coffee.pdf"


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_an_idle_extractor_has_no_child_and_a_used_one_keeps_it(
    extractor: Extractor,
) -> None:
    assert extractor.pids() == []
    await read(extractor, "a.txt")
    first = extractor.pids()
    await read(extractor, "b.txt")

    assert len(first) == 1
    assert extractor.pids() == first


async def test_a_child_is_replaced_after_its_share_of_documents() -> None:
    extractor = Extractor(documents_per_child=2)
    seen = []
    for _ in range(4):
        await read(extractor, "a.txt")
        seen += extractor.pids()
    await extractor.aclose()

    assert len(seen) == 2
    assert len(set(seen)) == 2


async def test_no_secret_of_ours_reaches_a_child(
    extractor: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_SECRET_KEY", "do-not-tell")
    monkeypatch.setenv("OPENAI_API_KEY", "do-not-tell")
    await read(extractor, "a.txt")

    environment = environment_of(extractor.pids()[0])

    assert b"PYTHONPATH=" in environment
    assert b"do-not-tell" not in environment
    assert b"API_KEY" not in environment


async def test_twenty_documents_at_once_are_read_by_two_children_and_the_loop_stays_free(
    extractor: Extractor,
) -> None:
    names = [path for path in sorted(SAMPLES.glob("*-*.*")) if not path.name.startswith("broken")]
    paths = (names * 2)[:20]
    gaps: list[float] = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.005)
            gaps.append(loop.time() - before)

    ticking = asyncio.create_task(tick())
    found = await asyncio.gather(*(read(extractor, path.name, path) for path in paths))
    ticking.cancel()

    assert len(found) == 20
    assert all(one.text.strip() for one in found)
    assert len(extractor.pids()) == 2
    assert max(gaps) < 0.3


async def test_kill_9_of_a_child_hurts_only_its_document() -> None:
    extractor = Extractor(children=2, command=COMMAND)
    doomed = asyncio.create_task(read(extractor, "hang"))
    (pid,) = await until_children(extractor, 1)
    other = await read(extractor, "other")
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ExtractionError) as caught:
        await doomed
    assert caught.value.code is ErrorCode.OUT_OF_MEMORY
    assert "killed" in caught.value.message
    assert other.text == "other"
    assert (await read(extractor, "after")).text == "after"
    await extractor.aclose()


async def test_kill_9_amid_a_real_document(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(pages=1_000))
    await read(extractor, "a.txt")
    (pid,) = extractor.pids()
    doomed = asyncio.create_task(read(extractor, "long.pdf", path))
    await until(lambda: not extractor._idle)  # the warm child has the long document
    others = [asyncio.create_task(read(extractor, "coffee.pdf", COFFEE)) for _ in range(5)]
    await others[0]
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ExtractionError):
        await doomed
    assert all("TC-2026-0187" in one.text for one in await asyncio.gather(*others))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("crash", ErrorCode.BROKEN),
        ("exit", ErrorCode.BROKEN),
        ("memory", ErrorCode.OUT_OF_MEMORY),
        ("flood", ErrorCode.BROKEN),
        ("hang", ErrorCode.TIMEOUT),
    ],
)
async def test_each_kind_of_death_is_told_and_the_next_document_is_read(
    name: str, expected: ErrorCode
) -> None:
    extractor = Extractor(limits=Limits(timeout_s=2.0), children=1, command=COMMAND)
    with pytest.raises(ExtractionError) as caught:
        await read(extractor, name)
    after = await read(extractor, "after")
    await extractor.aclose()

    assert caught.value.code is expected
    assert after.text == "after"


async def test_a_child_that_chatters_on_its_error_stream_is_not_stuck() -> None:
    extractor = Extractor(limits=Limits(timeout_s=10.0), children=1, command=COMMAND)

    assert (await read(extractor, "chatter")).text == "chatter"
    await extractor.aclose()


async def test_an_idle_child_that_was_killed_is_replaced_unnoticed(extractor: Extractor) -> None:
    await read(extractor, "a.txt")
    (pid,) = extractor.pids()
    os.kill(pid, signal.SIGKILL)
    await until_gone([pid])

    assert (await read(extractor, "b.txt")).text
    assert extractor.pids() != [pid]


async def test_a_cancelled_extraction_kills_its_child_at_once() -> None:
    extractor = Extractor(children=1, command=COMMAND)
    task = asyncio.create_task(read(extractor, "hang"))
    pids = await until_children(extractor, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_gone(pids)

    assert (await read(extractor, "next")).text == "next"
    await extractor.aclose()


async def test_a_cancelled_wait_for_a_child_takes_nothing_from_the_others() -> None:
    extractor = Extractor(children=1, command=COMMAND)
    busy = asyncio.create_task(read(extractor, "hang"))
    await until_children(extractor, 1)
    waiting = asyncio.create_task(read(extractor, "waiting"))
    await asyncio.sleep(0)
    waiting.cancel()
    busy.cancel()
    await asyncio.gather(busy, waiting, return_exceptions=True)

    assert (await read(extractor, "next")).text == "next"
    await extractor.aclose()


async def test_closing_ends_children_and_what_they_read() -> None:
    extractor = Extractor(children=2, command=COMMAND)
    task = asyncio.create_task(read(extractor, "hang"))
    pids = await until_children(extractor, 1)
    await asyncio.gather(extractor.aclose(), return_exceptions=True)

    with pytest.raises(ExtractorUnavailable):
        await task
    with pytest.raises(ExtractorUnavailable):
        await read(extractor, "late")
    await until_gone(pids)


@pytest.mark.parametrize(
    "command",
    [("/nonexistent/python",), (sys.executable, "-c", "raise SystemExit('no library')")],
)
async def test_a_child_that_cannot_start_is_our_fault_not_the_documents(
    command: tuple[str, ...],
) -> None:
    extractor = Extractor(command=command)
    with pytest.raises(ExtractorUnavailable):
        await read(extractor, "a.txt")
    await extractor.aclose()


async def test_children_do_not_outlive_a_killed_parent() -> None:
    parent = f"""
import asyncio, os, pathlib, signal
from shared.documents.extract import Extractor
async def main():
    extractor = Extractor()
    path = pathlib.Path({str(TENANCY)!r})
    await extractor.extract(path, filename="a.txt", content_type=None)
    print(*extractor.pids(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", parent], cwd=ROOT, capture_output=True, timeout=60
    )

    assert done.returncode == -signal.SIGKILL
    await until_gone([int(pid) for pid in done.stdout.split()])
