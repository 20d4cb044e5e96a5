"""A world whose jobs live in lists, and a client that is strict about what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis import RedisError

from api.events.place import is_end, parse_place
from api.events.story import Sources, Story
from api.waiting import Watch
from shared.clock import rfc3339
from shared.database import Row
from shared.events.deltas import Delta
from shared.events.event import EventType, is_final_event
from shared.jobs.reader import FullJob

JOB_ID = "job_0123456789abcdefghijklmnop"
TENANT = "ten_1"
STATES = {EventType.STARTED: "running", EventType.WAITING: "queued"}
JOB: dict[str, Any] = {
    "id": JOB_ID,
    "tenant_id": TENANT,
    "endpoint": "/v1/chat/completions",
    "model": "m",
    "priority": 1,
    "generation": 1,
    "created_at": 1,
    "complete_by": 2,
    "cached": False,
    "metadata": {"name": "Zürich\u2028"},
    **dict.fromkeys(
        ("reason", "scheduled_at", "not_before", "started_at", "finished_at", "error", "lane")
    ),
    **dict.fromkeys(
        ("input_tokens", "cost_nanousd", "custom_id", "batch_id", "webhook", "background")
    ),
    "deleted_at": None,
}


@dataclass
class World:
    """One job, its events and its log."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    log: list[Delta] = field(default_factory=list)
    said: dict[int, list[Delta]] = field(default_factory=dict)
    away: bool = False
    forgotten: int = 0

    def change(self, kind: EventType) -> None:
        """Commit an event."""
        number = len(self.rows) + 1
        self.rows.append({"number": number, "type": kind, "reason": None, "created_at": number})

    def say(self, *, last: bool = False, lost: bool = False) -> Delta:
        """Let the running claim say something; `lost` leaves it out of the log."""
        version = len(self.rows)
        number = len(self.said.setdefault(version, [])) + 1
        text = f'[{{"choices":[{{"delta":{{"content":"ü{version}.{number} "}}}}]}}]'
        delta = Delta(JOB_ID, version, number, text.encode(), last)
        self.said[version].append(delta)
        if not lost:
            self.log.append(delta)
        return delta

    def forget(self, number: int) -> None:
        """Remove the events up to a number."""
        self.forgotten = number

    @property
    def job(self) -> dict[str, Any]:
        """The hot row."""
        kind = self.rows[-1]["type"]
        state = STATES.get(kind, kind.removeprefix("job."))
        waits = 5 if kind == EventType.WAITING else None
        return {**JOB, "state": state, "version": len(self.rows), "not_before": waits}

    @property
    def running(self) -> bool:
        """Whether a worker has it."""
        return bool(self.rows) and self.rows[-1]["type"] == EventType.STARTED

    @property
    def full(self) -> FullJob:
        """The job as a reader of jobs returns it."""
        return FullJob(self.job, (), None)

    def sources(self) -> Sources:
        """Where a story of it comes from."""
        return Sources(_Log(self), _Reader(self), _Jobs(self), Counted())


class Counted:
    """Counts what is sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def sent(self, name: str, events: int) -> None:
        self.names += [name] * events


class _Log:
    def __init__(self, world: World) -> None:
        self._world = world

    async def after(self, job_id: str, version: int, number: int, *, most: int) -> list[Delta]:
        if self._world.away:
            raise RedisError("away")
        behind = [
            each for each in self._world.log if (each.version, each.number) > (version, number)
        ]
        return behind[:most]


class _Reader:
    def __init__(self, world: World) -> None:
        self._world = world

    async def after(self, tenant_id: str, job_id: str, number: int) -> tuple[Row, Sequence[Row]]:
        behind = max(number, self._world.forgotten)
        return self._world.job, [each for each in self._world.rows if each["number"] > behind]


class _Jobs:
    def __init__(self, world: World) -> None:
        self._world = world

    async def load(self, tenant_id: str, job_id: str) -> FullJob:
        return self._world.full

    async def show(self, full: FullJob) -> dict[str, Any]:
        job = full.job
        status = "waiting" if job["not_before"] else job["state"]
        return {"id": job["id"], "status": status, "created_at": rfc3339(job["created_at"])}


@dataclass
class Told:
    """One event as a client reads it."""

    name: str
    id: str | None
    body: dict[str, Any]
    retry: int | None = None


def read(block: bytes) -> Told:
    """Read a block as strictly as the most awkward client."""
    assert block.isascii()
    assert block.endswith(b"\n\n")
    assert block.count(b"\n\n") == 1
    fields = dict(line.split(": ", 1) for line in block.decode().rstrip("\n").split("\n"))
    body = orjson.loads(fields["data"])
    assert body["object"] == "event"
    assert body["type"] == fields["event"]
    retry = int(fields["retry"]) if "retry" in fields else None
    return Told(fields["event"], fields.get("id"), body, retry)


class Client:
    """Checks with each event that nothing is missing between it and the one before."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.number = 0
        self.deltas = 0
        self.whole = False
        self.status = ""
        self.over = False
        self.resets = 0
        self._awaits_snapshot = True

    def hear(self, told: Told) -> None:
        """Hear an event."""
        assert not self.over
        self.last_id = told.id or self.last_id
        if told.name == "reset":
            self.resets += 1
            self._awaits_snapshot = True
        elif told.name == "snapshot":
            self._begin(told)
        elif told.name == "job.delta":
            self._say(told.body["data"], told.id)
        else:
            self._change(told)

    def reconnects(self) -> None:
        """Come back: without an id, everything begins anew; else a reset may come at any time."""
        if self.last_id is None:
            self._awaits_snapshot = True

    def _begin(self, told: Told) -> None:
        assert self._awaits_snapshot
        self._awaits_snapshot = False
        self.status = told.body["data"]["status"]
        self.deltas, self.whole = 0, False
        # Of an ended job there is no id: the end follows, and has it.
        self.number = int(told.id.split(".")[1]) if told.id else 0

    def _say(self, data: dict[str, Any], place: str | None) -> None:
        assert not self._awaits_snapshot
        assert self.status == "running"
        assert data["claim"] == self.number
        assert data["number"] == self.deltas + 1
        assert place == f"{JOB_ID[-8:]}.{self.number}.{data['number']}"
        self.deltas += 1
        self.whole = data["last"]
        expected = f"ü{data['claim']}.{data['number']} "
        assert data["chunks"][0]["choices"][0]["delta"]["content"] == expected

    def _change(self, told: Told) -> None:
        assert not self._awaits_snapshot
        assert told.id is not None
        number, final = int(told.id.split(".")[1]), is_final_event(told.name)
        assert told.id == f"{JOB_ID[-8:]}.{number}.0"
        assert told.body["id"] == f"evt_{JOB_ID.removeprefix('job_')}_{number}"
        assert self.number in {0, number - 1}
        assert final or not self.deltas, "what was said is void, and nobody said so"
        self.number, self.over = number, final
        self.status = told.body["data"]["status"]


async def run(story: Story, watch: Watch) -> list[bytes]:
    """Take every step that there is."""
    blocks: list[bytes] = []
    steps = 0
    while not story.over and story.pending(watch):
        blocks += await story.step(watch)
        steps += 1
        assert steps < 1000, "it goes round in circles"
    return blocks


def opened(world: World, last_id: str | None) -> Story | None:
    """Open a story as the endpoint does; None for 204."""
    place = None if last_id is None else parse_place(JOB_ID, last_id)
    if place is not None and is_end(place, world.job):
        return None
    lost = last_id is not None and place is None
    return Story(world.sources(), world.full, place, lost=lost)
