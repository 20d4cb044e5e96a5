"""What a client is told of a job: for any story and any cut, no gap and no doubles, or a reset."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.event_place import Place, is_end, parse_place
from api.job_story import Story
from api.waiting import MOST_DELTAS, Watch
from shared.events.event import EventType, is_final_event
from tests.unit.api.told import JOB_ID, Client, World, read, run

E = EventType
ENDS = (E.COMPLETED, E.FAILED, E.CANCELLED, E.QUEUED, E.WAITING)
NEXT = {
    E.QUEUED: (E.STARTED, E.CANCELLED, E.EXPIRED, E.WAITING),
    E.WAITING: (E.QUEUED, E.STARTED),
    E.STARTED: ENDS,
    E.FAILED: (E.QUEUED,),
    E.CANCELLED: (E.QUEUED,),
    E.EXPIRED: (E.QUEUED,),
    E.COMPLETED: (),
}


def opened(world: World, last_id: str | None) -> Story | None:
    """Open a story as the endpoint does; None for 204."""
    place = None if last_id is None else parse_place(JOB_ID, last_id)
    if place is not None and is_end(place, world.job):
        return None
    lost = last_id is not None and place is None
    return Story(world.sources(), world.full, place, lost=lost)


class Play:
    """A world that goes on, and a client whose connection is cut now and then."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.world = World()
        self.client = Client()
        self.watch = Watch()
        self.story: Story | None = None
        self.harmed = False
        self.world.change(E.QUEUED)

    def chance(self, one_in: int = 2) -> bool:
        return self._data.draw(st.integers(1, one_in)) == one_in

    async def turn(self) -> None:
        """Let something happen; the client hears of it, or does not."""
        await self._data.draw(st.sampled_from(TURNS))(self)
        if self.client.over and not is_final_event(self.world.rows[-1]["type"]):
            # It was retried, and somebody looks again.
            self.client.over, self.story = False, None
        if self.story is None and not self.client.over and self.chance():
            await self.connect()
        await self.tell()

    async def say(self) -> None:
        if not self.world.running:
            return
        lost = self.chance(10)
        self.harmed = self.harmed or lost
        delta = self.world.say(lost=lost)
        if not lost and self.chance():
            self.watch.add(delta)

    async def change(self) -> None:
        kinds = NEXT[self.world.rows[-1]["type"]]
        if not kinds:
            return
        kind = self._data.draw(st.sampled_from(kinds))
        if kind == E.COMPLETED and self.world.said.get(len(self.world.rows)):
            # A worker waits only for so long until its last words are written.
            self.world.say(last=True, lost=self.chance(4))
        self.world.change(kind)
        if self.chance():
            self.watch.tell(len(self.world.rows), ended=False)

    async def trim(self) -> None:
        self.harmed = True
        del self.world.log[: self._data.draw(st.integers(1, 4))]

    async def cut(self) -> None:
        self.story = None

    async def redis_goes_or_comes(self) -> None:
        self.world.away = not self.world.away

    async def connect(self) -> None:
        self.client.reconnects()
        self.watch = Watch()
        self.story = opened(self.world, self.client.last_id)
        self.client.over = self.story is None

    async def tell(self) -> None:
        if self.story is None or self.client.over:
            return
        for block in await run(self.story, self.watch):
            self.client.hear(read(block))
            if self.chance(8):
                # The rest of what was under way is lost.
                self.story = None
                return

    async def settle(self) -> None:
        """Let the client come back until it knows all that there is."""
        self.world.away = False
        while not self.client.over:
            if self.story is None:
                await self.connect()
            self.watch.tell(len(self.world.rows), ended=False)
            self.watch.miss()
            await self.tell()
            if self.story is not None:
                return


TURNS = [Play.say] * 4 + [Play.change] * 2 + [Play.trim, Play.cut, Play.redis_goes_or_comes]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_no_gap_and_no_doubles_or_a_reset(data: st.DataObject) -> None:
    async def check() -> None:
        play = Play(data)
        for _ in range(data.draw(st.integers(0, 40))):
            await play.turn()
        await play.settle()
        client, world = play.client, play.world
        assert client.status == ("waiting" if world.job["not_before"] else world.job["state"])
        if client.status == "completed" and client.deltas:
            assert client.whole
        if world.running and not play.harmed:
            assert client.deltas == len(world.said.get(len(world.rows), []))

    asyncio.run(check())


@settings(max_examples=200, deadline=None)
@given(
    deltas=st.integers(0, 6),
    end=st.sampled_from([None, E.COMPLETED, E.FAILED]),
    cut=st.integers(0, 10),
)
def test_a_prefix_and_what_follows_it_are_the_whole(
    deltas: int, end: EventType | None, cut: int
) -> None:
    async def check() -> None:
        world = World()
        world.change(E.QUEUED)
        world.change(E.STARTED)
        story, watch = opened(world, None), Watch()
        assert story is not None
        told = await run(story, watch)
        for number in range(deltas):
            watch.add(world.say(last=end == E.COMPLETED and number == deltas - 1))
            told += await run(story, watch)
        if end is not None:
            world.change(end)
            watch.tell(3, ended=True)
            told += await run(story, watch)
        whole = [read(each) for each in told]
        names = [each.name for each in whole]
        assert names == ["snapshot", *["job.delta"] * deltas, *([end] if end else [])]
        prefix = whole[: 1 + cut % len(whole)]
        again = opened(world, prefix[-1].id)
        rest = [] if again is None else await run(again, Watch())
        ids = [each.id for each in prefix] + [read(each).id for each in rest]
        assert ids == [each.id for each in whole]

    asyncio.run(check())


async def told_from(world: World, last_id: str | None) -> list[str]:
    story = opened(world, last_id)
    return [] if story is None else [read(each).name for each in await run(story, Watch())]


def name(number: int, delta: int = 0) -> str:
    return Place(number, delta).name(JOB_ID)


def running(deltas: int) -> World:
    world = World()
    world.change(E.QUEUED)
    world.change(E.STARTED)
    for _ in range(deltas):
        world.say()
    return world


@pytest.mark.parametrize(
    "last_id", ["", "nonsense", "00000000.2.1", "ijklmnop.2.1\n", "ijklmnop.02.1", name(99)]
)
async def test_an_id_that_is_none_of_this_job_resets(last_id: str) -> None:
    assert await told_from(running(1), last_id) == ["reset", "snapshot", "job.delta"]


async def test_a_delta_of_a_job_that_says_nothing_resets() -> None:
    world = World()
    world.change(E.QUEUED)

    assert await told_from(world, name(1, 3)) == ["reset", "snapshot"]
    assert await told_from(world, name(1)) == []


async def test_a_log_that_lost_what_the_client_was_told_resets_and_is_silent() -> None:
    world = running(5)
    del world.log[:3]

    assert await told_from(world, name(2, 2)) == ["reset", "snapshot"]
    assert await told_from(world, name(2, 4)) == ["job.delta"]
    world.log.clear()
    assert await told_from(world, name(2, 4)) == ["reset", "snapshot"]


async def test_a_log_with_a_hole_resets_once() -> None:
    world = running(2)
    world.say(lost=True)
    world.say()

    assert await told_from(world, None) == ["snapshot", *["job.delta"] * 2, "reset", "snapshot"]


async def test_trimmed_events_reset() -> None:
    world = running(0)
    for kind in (E.WAITING, E.QUEUED, E.STARTED):
        world.change(kind)
    world.forget(3)

    assert await told_from(world, name(2)) == ["reset", "snapshot"]
    assert await told_from(world, name(4)) == ["job.started"]


async def test_a_later_claim_resets_who_heard_an_earlier_one() -> None:
    world = running(3)
    heard, deaf = opened(world, None), opened(world, None)
    assert heard is not None
    assert deaf is not None
    watch = Watch()
    told = await run(heard, watch)
    world.change(E.QUEUED)
    watch.tell(3, ended=False)
    told += await run(heard, watch)
    world.change(E.STARTED)
    world.say()
    watch.tell(4, ended=False)
    told += await run(heard, watch)

    names = [read(each).name for each in told]
    assert names[:4] == ["snapshot", *["job.delta"] * 3]
    assert names[4:] == ["reset", "snapshot", "job.started", "job.delta"]
    assert await told_from(world, name(2, 2)) == ["reset", "snapshot", "job.delta"]
    assert await told_from(world, name(2)) == ["job.queued", "job.started", "job.delta"]


async def test_an_ended_job_is_shown_and_ends() -> None:
    world = running(2)
    world.say(last=True)
    world.change(E.COMPLETED)

    assert await told_from(world, None) == ["snapshot", "job.completed"]
    assert await told_from(world, name(2, 2)) == ["job.delta", "job.completed"]
    assert await told_from(world, name(2, 3)) == ["job.completed"]
    assert await told_from(world, name(3)) == []
    world.log.clear()
    assert await told_from(world, name(2, 2)) == ["reset", "snapshot", "job.completed"]
    assert await told_from(world, name(2)) == ["job.completed"]


async def test_a_completed_job_whose_last_words_are_missing_takes_back_what_was_told() -> None:
    world = running(2)
    story, watch = opened(world, None), Watch()
    assert story is not None
    await run(story, watch)
    world.say(last=True, lost=True)
    world.change(E.COMPLETED)
    watch.tell(3, ended=True)

    names = [read(each).name for each in await run(story, watch)]
    assert names == ["reset", "snapshot", "job.completed"]


async def test_redis_that_is_away_at_the_end_takes_back_what_was_told() -> None:
    world = running(2)
    story, watch = opened(world, None), Watch()
    assert story is not None
    await run(story, watch)
    world.away = True
    world.change(E.FAILED)
    watch.tell(3, ended=True)

    assert [read(each).name for each in await run(story, watch)] == [
        "reset",
        "snapshot",
        "job.failed",
    ]


async def test_whoever_heard_it_all_does_not_ask_the_log() -> None:
    world = running(0)
    story, watch = opened(world, None), Watch()
    assert story is not None
    await run(story, watch)
    world.away = True
    watch.add(world.say())
    watch.add(world.say(last=True))
    world.change(E.COMPLETED)
    watch.tell(3, ended=True)

    names = [read(each).name for each in await run(story, watch)]
    assert names == ["job.delta", "job.delta", "job.completed"]


async def test_a_slow_client_reads_the_log_instead() -> None:
    world = running(0)
    story, watch = opened(world, None), Watch()
    assert story is not None
    await run(story, watch)
    for _ in range(3 * MOST_DELTAS):
        watch.add(world.say())

    assert len(watch.deltas) <= MOST_DELTAS
    names = [read(each).name for each in await run(story, watch)]
    assert names == ["job.delta"] * 3 * MOST_DELTAS


async def test_a_long_log_is_read_in_pages() -> None:
    world = running(2500)

    assert await told_from(world, None) == ["snapshot", *["job.delta"] * 2500]


async def test_a_job_older_than_its_events_has_an_end_too() -> None:
    world = running(0)
    world.change(E.COMPLETED)
    world.forget(3)

    assert await told_from(world, None) == ["snapshot", "job.completed"]


async def test_a_past_event_says_nothing_of_the_present() -> None:
    world = running(0)
    world.change(E.WAITING)
    story = opened(world, name(1))
    assert story is not None

    began, waits = [read(each).body["data"] for each in await run(story, Watch())]
    assert (began["status"], began["not_before"]) == ("running", None)
    assert (waits["status"], waits["not_before"]) == ("waiting", "1970-01-01T00:00:00.005Z")
    assert began["metadata"] == {"name": "Zürich\u2028"}
