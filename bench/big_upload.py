"""*upload*: a gigabyte of JSONL into the service and out of it again, and what its API holds meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bench import service
from bench.report import Row, Section
from bench.service import Service
from bench.upstreams import Upstream

MIB = 1024 * 1024
SIZE_MB = 1024
MOST_GROWTH_MB = 64
HEAD = (
    b'--cut\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--cut\r\n'
    b'Content-Disposition: form-data; name="file"; filename="lines.jsonl"\r\n\r\n'
)
TAIL = b"\r\n--cut--\r\n"
READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class Transfer:
    """One way of the file; `grown_mb` is by how much the API's memory peaked above its rest."""

    way: str
    mb: float
    seconds: float
    grown_mb: float
    cpu_s: float

    @property
    def mb_per_s(self) -> float:
        """Return the pace."""
        return self.mb / self.seconds


def measure_transfers(upstream: Upstream) -> Section:
    """Judge the transfers by what the API holds of them."""
    found = measure(upstream)
    rows = [
        Row(
            f"{each.way}, {each.mb:,.0f} MiB in {each.seconds:.1f} s",
            f"{each.grown_mb:.0f} MB more",
            f"< {MOST_GROWTH_MB} MB",
            each.grown_mb < MOST_GROWTH_MB,
            f"{each.mb_per_s:,.0f} MiB/s, {each.cpu_s:.1f} s CPU of the API",
        )
        for each in found
    ]
    title = "upload: a file of 1 GiB in and out, and by how much the API grows"
    return Section(title, rows, [asdict(each) for each in found])


def measure(upstream: Upstream, *, size_mb: int = SIZE_MB) -> list[Transfer]:
    """Upload a file of so many MiB to a running service, then download it."""
    with service.running(upstream.port, concurrency=64, parts=("api", "scheduler")) as running:
        asyncio.run(_upload(running, 1))
        up, file_id = asyncio.run(_watched(running, "up", size_mb))
        down, _ = asyncio.run(_watched(running, "down", size_mb, file_id))
        return [up, down]


async def _watched(
    running: Service, way: str, size_mb: int, file_id: str = ""
) -> tuple[Transfer, str]:
    pid = running.parts["api"].process.pid
    before, used = _memory_mb(pid, "VmRSS"), running.cpu_s()["api"]
    # From here on the peak is that of this transfer.
    _forget_peak(pid)
    began = time.perf_counter()
    if file_id:
        await _download(running, file_id, size_mb)
    else:
        file_id = await _upload(running, size_mb)
    seconds = time.perf_counter() - began
    grown = _memory_mb(pid, "VmHWM") - before
    return Transfer(way, size_mb, seconds, grown, running.cpu_s()["api"] - used), file_id


async def _upload(running: Service, size_mb: int) -> str:
    block = _block()
    length = len(HEAD) + size_mb * MIB + len(TAIL)
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    more = f"Content-Type: multipart/form-data; boundary=cut\r\nContent-Length: {length}\r\n"
    writer.write(_request(running, "POST /v1/files", more) + HEAD)
    for _ in range(size_mb):
        writer.write(block)
        await writer.drain()
    writer.write(TAIL)
    answer = b"".join([piece async for piece in _body(reader)])
    writer.close()
    file = orjson.loads(answer)
    if file["bytes"] != size_mb * MIB:
        raise RuntimeError(f"{file['bytes']} bytes arrived of {size_mb} MiB")
    return str(file["id"])


async def _download(running: Service, file_id: str, size_mb: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(_request(running, f"GET /v1/files/{file_id}/content", ""))
    size = sum([len(piece) async for piece in _body(reader)])
    writer.close()
    if size != size_mb * MIB:
        raise RuntimeError(f"{size} bytes came back of {size_mb} MiB")


def _request(running: Service, what: str, more: str) -> bytes:
    head = f"Host: bench\r\nAuthorization: Bearer {running.key}\r\nConnection: close\r\n"
    return f"{what} HTTP/1.1\r\n{head}{more}\r\n".encode()


async def _body(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if head[9:12] != b"200":
        raise RuntimeError(f"{head.decode()}{(await reader.read()).decode()}")
    while piece := await reader.read(READ):
        yield piece


def _block() -> bytes:
    # A MiB of lines, as long as those of real batches.
    row = (
        b'{"custom_id":"%06d","method":"POST","url":"/v1/chat/completions","body":{"text":"%s"}}\n'
    )
    line = len(row % (0, b""))
    rows = [row % (number, b"x" * (1024 - line)) for number in range(1024)]
    return b"".join(rows)


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _memory_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024
