"""What a client is told of a job, story by story."""

import pytest

from api.events.place import Place
from api.waiting import MOST_DELTAS, Watch
from shared.events.event import EventType
from tests.unit.api.told import JOB_ID, World, opened, read, run

E = EventType


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


async def test_what_a_quick_claim_said_is_told_before_its_end() -> None:
    world = World()
    world.change(E.QUEUED)
    story, watch = opened(world, None), Watch()
    assert story is not None
    await run(story, watch)
    world.change(E.STARTED)
    world.say()
    world.say(last=True)
    world.change(E.COMPLETED)
    watch.tell(3, ended=True)

    whole = ["job.started", "job.delta", "job.delta", "job.completed"]
    assert [read(each).name for each in await run(story, watch)] == whole
    assert await told_from(world, name(1)) == whole


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
