"""When a client is sent something, and when it is let go."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from api.events import follower
from api.events.blocks import PING, batches
from api.events.follower import Follower, Pace
from api.events.place import Place
from api.events.story import Story
from api.waiting import Watch
from shared.errors import Gone
from shared.events.event import EventType
from tests.unit.api.told import Counted, Told, World, read

E = EventType


class Room:
    """Where one listens; every watch is the same."""

    def __init__(self) -> None:
        self.heard = Watch()
        self.watches = 0

    @contextmanager
    def watch(self, _job_id: str, *, deltas: bool = False) -> Iterator[Watch]:
        assert deltas
        self.watches += 1
        try:
            yield self.heard
        finally:
            self.watches -= 1


@pytest.fixture
def world() -> World:
    world = World()
    world.change(E.QUEUED)
    return world


def follow(world: World, *, ping_s: float = 60, life_s: float = 60) -> tuple[Follower, Room]:
    return Follower(Story(world.sources(), world.full, None), Pace(ping_s, life_s)), Room()


async def told(blocks: AsyncIterator[bytes]) -> list[Told]:
    """Return all that comes, one event a block."""
    found = b"".join([each async for each in blocks if each != PING])
    return [read(each + b"\n\n") for each in found.split(b"\n\n")[:-1]]


async def test_the_first_event_says_when_to_come_back_and_the_others_do_not(world: World) -> None:
    world.change(E.CANCELLED)
    one, room = follow(world)

    first, end = await told(one.blocks(room))

    assert 3000 <= (first.retry or 0) < 4000
    assert end.retry is None
    assert room.watches == 0


async def test_whoever_comes_back_is_answered_at_once_too(world: World) -> None:
    story = Story(world.sources(), world.full, Place(1))
    room = Room()
    blocks = Follower(story, Pace(60, 60)).blocks(room)

    assert await asyncio.wait_for(anext(blocks), 1) == PING
    world.change(E.CANCELLED)
    room.heard.tell(2, ended=True)
    (end,) = await told(blocks)

    assert (end.name, bool(end.retry)) == ("job.cancelled", True)


async def test_silence_is_broken(world: World) -> None:
    one, room = follow(world, ping_s=0.01)
    blocks = one.blocks(room)
    assert await anext(blocks) != PING

    assert [await asyncio.wait_for(anext(blocks), 1) for _ in range(3)] == [PING] * 3
    await blocks.aclose()
    assert room.watches == 0


async def test_a_connection_lives_for_so_long(world: World) -> None:
    one, room = follow(world, life_s=0.05)

    snapshot, goodbye = await told(one.blocks(room))

    assert snapshot.name == "snapshot"
    assert (goodbye.name, goodbye.id) == ("reconnect", None)
    assert goodbye.body["data"]["reason"] == "life_limit"


async def test_everybody_is_sent_home(world: World) -> None:
    one, room = follow(world)
    blocks = one.blocks(room)
    await anext(blocks)

    room.heard.leaving = True
    room.heard.changed.set()

    (goodbye,) = await told(blocks)
    assert goodbye.body["data"]["reason"] == "shutdown"


async def test_a_client_that_is_gone_is_told_nothing_more(world: World) -> None:
    one, room = follow(world)
    blocks = one.blocks(room)
    await anext(blocks)

    one.hang_up()

    assert await told(blocks) == []
    assert room.watches == 0


async def test_an_event_whose_notice_was_lost_is_heard_of(world: World) -> None:
    one, room = follow(world)
    blocks = one.blocks(room)
    await anext(blocks)
    world.change(E.CANCELLED)

    one.hear(2)

    assert [each.name for each in await told(blocks)] == ["job.cancelled"]


class Away:
    """A database that does not answer the first questions, or that has lost the job."""

    def __init__(self, world: World, error: Exception, times: int) -> None:
        self._inner = world.sources().reader
        self._error = error
        self._times = times

    async def after(self, tenant_id: str, job_id: str, number: int) -> Any:
        self._times -= 1
        if self._times >= 0:
            raise self._error
        return await self._inner.after(tenant_id, job_id, number)


def away(world: World, error: Exception, times: int) -> Follower:
    sources = replace(world.sources(), reader=Away(world, error, times))
    return Follower(Story(sources, world.full, None), Pace(60, 60))


async def test_a_database_that_is_away_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "AWAY_S", 0.001)
    blocks = away(world, OSError("away"), 3).blocks(Room())
    await anext(blocks)
    world.change(E.CANCELLED)

    assert [each.name for each in await told(blocks)] == ["job.cancelled"]


async def test_a_job_that_is_gone_ends_the_stream(world: World) -> None:
    blocks = away(world, Gone("gone"), 1).blocks(Room())

    assert [each.name for each in await told(blocks)] == ["snapshot"]


async def test_a_mistake_of_ours_is_not_hidden(world: World) -> None:
    blocks = away(world, ZeroDivisionError(), 1).blocks(Room())

    with pytest.raises(ZeroDivisionError):
        await told(blocks)


async def test_many_small_events_are_one_piece_and_large_ones_are_not(world: World) -> None:
    world.change(E.STARTED)
    for _ in range(90):
        world.say()
    one, room = follow(world)
    blocks = one.blocks(room)
    await anext(blocks)
    assert (await anext(blocks)).count(b"event: job.delta") == 90
    await blocks.aclose()

    large = [bytes(40_000)] * 5
    assert [len(each) for each in batches(large)] == [80_000, 80_000, 40_000]


async def test_what_is_sent_is_counted(world: World) -> None:
    world.change(E.CANCELLED)
    counted = Counted()
    sources = replace(world.sources(), counter=counted)
    await told(Follower(Story(sources, world.full, None), Pace(60, 60)).blocks(Room()))
    assert counted.names == ["snapshot", "job.cancelled"]
