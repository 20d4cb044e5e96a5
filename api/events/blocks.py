"""How a job's story is spelled as server-sent events; pure.

Each event is one block of lines that end in LF, with its data on one line of ASCII: some clients
split lines at every separator that Unicode knows.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

import orjson
from sse_starlette.event import ServerSentEvent

from api.events.place import Place, ResetReason
from shared.batches.event_store import event_id as batch_event_id
from shared.clock import now_ms, rfc3339
from shared.database import Row
from shared.events.deltas import Delta
from shared.events.event import envelope, event_id
from shared.jobs.changes import change_of
from shared.jobs.view import event_data

LF = "\n"
PING = ServerSentEvent(comment="ping", sep=LF).encode()
FULL_BYTES = 64 * 1024
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_CHANGING = ("not_before", "finished_at", "error", "usage", "cost_usd")
"""What only the job as it is now can say."""


def snapshot(job: Mapping[str, Any], number: int, *, ended: bool) -> bytes:
    """Spell the job as it is; `job` is the public object.

    Where the job has ended, the block has no id: one who is cut off behind it is told the end too.
    """
    place = None if ended else Place(number)
    return _plain("snapshot", job["id"], job, place=place)


def change(job: Row, event: Row) -> bytes:
    """Spell an event of the job; what the job was like at an earlier one is not known any more."""
    data = event_data(job)
    if event["number"] != job["version"]:
        data.update(dict.fromkeys(_CHANGING))
    data["status"] = _STATUSES.get(event["type"], event["type"].removeprefix("job."))
    data["status_reason"] = event["reason"]
    job_id, number = job["id"], event["number"]
    body = envelope(event["type"], event_id(job_id, number), event["created_at"], data)
    return _block(event["type"], _json(body), Place(number).name(job_id))


def told(batch_id: str, event: Row) -> bytes:
    """Spell what was told of a batch, just as it was told."""
    number = event["number"]
    identity = batch_event_id(batch_id, number)
    body = envelope(event["type"], identity, event["created_at"], event["data"])
    return _block(event["type"], _json(body), Place(number).name(batch_id))


_STATUSES = {"job.started": "running"}


def event_of(job: Row) -> Row:
    """Return the event that brought the job to what it is, where its row is not there any more."""
    now = change_of(job)
    at = job["finished_at"] or job["created_at"]
    return {"number": now.number, "type": now.type, "reason": now.reason, "created_at": at}


def delta(said: Delta) -> bytes:
    """Spell what the job said; `claim` is the number of the event that its text began with."""
    place = Place(said.version, said.number)
    identity, at = f"{event_id(said.job_id, said.version)}_{said.number}", now_ms()
    data = (
        f'{{"id":"{identity}","object":"event","type":"job.delta","created_at":{at // 1000},'
        f'"timestamp":"{rfc3339(at)}","data":{{"id":"{said.job_id}","claim":{said.version},'
        f'"number":{said.number},"last":{"true" if said.last else "false"},'
        f'"chunks":{_ascii(said.chunks)}}}}}'
    )
    return _block("job.delta", data, place.name(said.job_id))


def reset(job_id: str, reason: ResetReason) -> bytes:
    """Spell that all that was told is void; a snapshot follows."""
    return _plain("reset", job_id, {"id": job_id, "reason": reason})


def reconnect(job_id: str, reason: str) -> bytes:
    """Spell that the connection ends here and nothing else does."""
    return _plain("reconnect", job_id, {"id": job_id, "reason": reason})


def with_retry(block: bytes, retry_ms: int) -> bytes:
    """Tell with the first event after how long to come back."""
    return f"retry: {retry_ms}\n".encode() + block


def batches(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks, so that many small ones cost few writes and a slow reader little memory."""
    joined: list[bytes] = []
    size = 0
    for block in blocks:
        joined.append(block)
        size += len(block)
        if size >= FULL_BYTES:
            yield b"".join(joined)
            joined, size = [], 0
    if joined:
        yield b"".join(joined)


def _plain(name: str, job_id: str, data: Mapping[str, Any], *, place: Place | None = None) -> bytes:
    # It tells nothing that happened, so it has no identity to be recognised by.
    body = {**envelope(name, "", now_ms(), data), "id": None}
    return _block(name, _json(body), None if place is None else place.name(job_id))


def _block(name: str, data: str, place: str | None) -> bytes:
    return ServerSentEvent(data, event=name, id=place or None, sep=LF).encode()


def _json(value: object) -> str:
    return _ascii(orjson.dumps(value))


def _ascii(json: bytes) -> str:
    if json.isascii():
        return json.decode("ascii")
    # Beyond ASCII there are only parts of strings, without quotes or backslashes.
    return _BEYOND_ASCII.sub(lambda found: encode_basestring_ascii(found[0])[1:-1], json.decode())
