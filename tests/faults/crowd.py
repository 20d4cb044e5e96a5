"""Many clients of event streams on one loop, each with a connection of its own, as a page has one."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from tests.faults.sse import FINAL, Told

CONNECTS_AT_ONCE = 50
LONGEST_LINE = 1 << 20


@dataclass(slots=True)
class Member:
    """One client, what it was told, and when its connections ended."""

    job_id: str
    events: list[Told] = field(default_factory=list)
    last_id: str = ""
    status: int = 0
    comments: int = 0
    closed_at: float | None = None
    connections: int = 0


class Crowd:
    """Clients of one API process; `listen` returns once every connection has ended."""

    def __init__(self, key: str, job_ids: Sequence[str]) -> None:
        self.members = [Member(job_id) for job_id in job_ids]
        self._key = key
        self._door = asyncio.Semaphore(CONNECTS_AT_ONCE)

    @property
    def open(self) -> int:
        """Count those whose answer has begun and not ended."""
        return sum(each.status == 200 and each.closed_at is None for each in self.members)

    async def listen(self, port: int) -> None:
        """Let every one listen once, from where it stands, until its connection ends."""
        await asyncio.gather(*(self._listen(each, port) for each in self.members))

    async def _listen(self, member: Member, port: int) -> None:
        member.closed_at, member.status = None, 0
        member.connections += 1
        async with self._door:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LONGEST_LINE)
            lines = [
                f"GET /v1/jobs/{member.job_id}/events HTTP/1.1",
                "Host: localhost",
                f"Authorization: Bearer {self._key}",
                *([f"Last-Event-ID: {member.last_id}"] if member.last_id else []),
            ]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            member.status = int(head.split()[1])
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._read(member, reader)
        finally:
            member.closed_at = time.monotonic()
            writer.close()

    async def _read(self, member: Member, reader: asyncio.StreamReader) -> None:
        buffer = b""
        while size := int(await reader.readline() or b"0", 16):
            buffer += await reader.readexactly(size)
            await reader.readexactly(2)
            *blocks, buffer = buffer.split(b"\n\n")
            for block in blocks:
                self._take(member, block.decode())

    @staticmethod
    def _take(member: Member, block: str) -> None:
        pairs = (line.partition(":") for line in block.split("\n") if line[:1] != ":")
        fields = {name: value.removeprefix(" ") for name, _, value in pairs}
        if "data" not in fields:
            member.comments += 1
            return
        data = orjson.loads(fields["data"])
        told = Told(fields["event"], fields.get("id", ""), data, member.connections)
        member.events.append(told)
        member.last_id = told.id or member.last_id

    def unfinished(self) -> list[Member]:
        """Return those who were not told the end."""
        return [
            each for each in self.members if not any(told.name in FINAL for told in each.events)
        ]
