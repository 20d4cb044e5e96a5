"""What a streaming job has said so far: a Redis stream per job, read while its call still runs.

An entry's id is `<version>-<number>`: the job's version that its claim began with, and 1, 2, 3 …
within the claim. So Redis itself refuses what a late writer of an earlier claim appends, and a
reader sees from the numbers whether something is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote

from redis.asyncio import Redis

PREFIX = "penstock:deltas:"
MOST_READ = 1_000
LAST = b"1"


@dataclass(frozen=True, slots=True)
class Delta:
    """One entry: `chunks` is a JSON array of events in the dialect of the job.

    `last` says that the call came to its proper end with this entry; the array may then be empty.
    `dropped` names what of the request the provider that speaks was not told.
    """

    job_id: str
    version: int
    number: int
    chunks: bytes
    last: bool
    dropped: tuple[str, ...] = ()


class DeltaLog:
    """The streams of all jobs; a stream is gone `ttl_s` after its last entry."""

    def __init__(self, redis: Redis, *, ttl_s: float = 3600, most: int = 10_000) -> None:
        self._redis = redis
        self._limits = (most, round(ttl_s * 1000))
        text = Path(__file__).with_name("append_deltas.lua").read_text("utf-8")
        self._script = redis.register_script(text)

    async def append(self, deltas: Sequence[Delta]) -> None:
        """Append entries of any jobs in one round trip; whoever listens on `channel_of` hears them.

        An entry that its stream is past, because a later claim has written or it stands there
        already, is dropped without a word, and the others are not.

        Raises:
            RedisError: Redis is away; nothing or all may have been written, so repeat the same.
        """
        if not deltas:
            return
        args: list[int | str | bytes] = [*self._limits]
        for delta in deltas:
            args += (f"{delta.version}-{delta.number}", _flags(delta), delta.chunks)
        await self._script(keys=[channel_of(delta.job_id) for delta in deltas], args=args)

    async def after(
        self, job_id: str, version: int, number: int, *, most: int = MOST_READ
    ) -> list[Delta]:
        """Return the entries behind a place, oldest first, at most `most`; none if the log is gone.

        Raises:
            RedisError: Redis is away.
        """
        behind = f"({version}-{number}"
        found = await self._redis.xrange(channel_of(job_id), min=behind, count=most)
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        return [_delta(job_id, entry, fields[b"l"], fields[b"c"]) for entry, fields in rows]


def channel_of(job_id: str) -> str:
    """Name the channel on which a job's entries are published; its stream has the same name."""
    return PREFIX + job_id


def parse(job_id: str, message: bytes) -> Delta:
    """Read what was published on a job's channel."""
    entry, flags, chunks = message.split(b" ", 2)
    return _delta(job_id, entry, flags, chunks)


def _flags(delta: Delta) -> str:
    # Neither a space nor a comma of a client's own names may stand between ours.
    names = ",".join(quote(name, safe="") for name in delta.dropped)
    return f"{int(delta.last)}{names}"


def _delta(job_id: str, entry: bytes, flags: bytes, chunks: bytes) -> Delta:
    version, _, number = entry.partition(b"-")
    names = flags[1:].decode("ascii")
    dropped = tuple(map(unquote, names.split(","))) if names else ()
    return Delta(job_id, int(version), int(number), chunks, flags[:1] == LAST, dropped)
