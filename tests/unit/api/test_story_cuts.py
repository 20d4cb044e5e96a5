"""What a client is told of a job: for any story and any cut, no gap and no doubles, or a reset."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from api.events.story import Story
from api.waiting import Watch
from shared.events.event import EventType, is_final_event
from tests.unit.api.told import Client, World, opened, read, run

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
