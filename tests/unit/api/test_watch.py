"""What one who waits hears, and that it never grows without bound."""

import asyncio

import pytest

from api.waiting import MOST_DELTAS, Watch, until_ended
from shared.events.deltas import Delta


def delta(number: int) -> Delta:
    return Delta("job_1", 2, number, b"[]", last=False)


async def test_a_beginning_does_not_end_the_wait() -> None:
    watch = Watch()
    waiting = asyncio.create_task(until_ended(watch, 60))
    watch.tell(2, ended=False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()

    watch.tell(3, ended=True)
    await asyncio.wait_for(waiting, 5)

    assert watch.number == 3
    assert not watch.ended, "or the next wait for a later generation would not wait"


@pytest.mark.parametrize("news", ["miss", "leave"])
async def test_what_may_have_been_missed_and_a_farewell_end_the_wait(news: str) -> None:
    watch = Watch()
    waiting = asyncio.create_task(until_ended(watch, 60))
    await asyncio.sleep(0)

    if news == "miss":
        watch.miss()
    else:
        watch.leaving = True
        watch.changed.set()

    await asyncio.wait_for(waiting, 5)


def test_one_who_takes_no_deltas_is_sent_to_the_log() -> None:
    watch = Watch()

    for number in range(1, MOST_DELTAS + 2):
        watch.add(delta(number))

    assert watch.stale
    assert [each.number for each in watch.deltas] == [MOST_DELTAS + 1]
