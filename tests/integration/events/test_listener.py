"""One subscription for many channels, also for those that join while it is being made."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.events.notices import Channel, Listener
from shared.redis import connect


class Heard:
    """What a listener hears, and when it began."""

    def __init__(self, client: Redis) -> None:
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.began: asyncio.Queue[str] = asyncio.Queue()
        self.listener = Listener(
            client,
            [Channel.CHANGED],
            lambda channel, message: self.messages.put_nowait((channel, message)),
            self.began.put_nowait,
        )

    async def until_began(self, channel: str) -> None:
        while await asyncio.wait_for(self.began.get(), 10) != channel:
            pass


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    opened = connect(redis_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def heard(client: Redis) -> AsyncIterator[Heard]:
    made = Heard(client)
    yield made
    await made.listener.close()


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 8, 13, 20, 30, 60])
async def test_a_channel_joins_at_any_moment_of_connecting(
    heard: Heard, client: Redis, rounds: int
) -> None:
    heard.listener.start()
    for _ in range(rounds):
        await asyncio.sleep(0)
    heard.listener.join("one")
    await heard.until_began("one")

    await client.publish("one", b"words")

    assert await asyncio.wait_for(heard.messages.get(), 10) == ("one", b"words")


async def test_a_channel_that_left_is_not_heard(heard: Heard, client: Redis) -> None:
    heard.listener.start()
    heard.listener.join("one")
    await heard.until_began("one")
    heard.listener.leave("one")
    heard.listener.join("two")
    await heard.until_began("two")

    await client.publish("one", b"not heard")
    await client.publish("two", b"heard")

    assert await asyncio.wait_for(heard.messages.get(), 10) == ("two", b"heard")


async def test_what_is_wanted_is_asked_for_again_after_a_lost_connection(
    heard: Heard, client: Redis
) -> None:
    heard.listener.start()
    heard.listener.join("one")
    await heard.until_began("one")

    await client.client_kill_filter(_type="pubsub")
    await heard.until_began("one")
    await client.publish("one", b"words")

    assert await asyncio.wait_for(heard.messages.get(), 10) == ("one", b"words")


async def test_joins_while_the_connection_is_lost_again_and_again_leave_nobody_deaf(
    heard: Heard, client: Redis
) -> None:
    heard.listener.start()
    await heard.until_began(Channel.CHANGED)
    for number in range(200):
        heard.listener.join(f"many-{number}")
        if number % 20 == 0:
            await client.client_kill_filter(_type="pubsub")
        await asyncio.sleep(0)
        heard.listener.leave(f"many-{number}")
    heard.listener.join("one")
    await heard.until_began("one")

    await client.publish("one", b"words")

    assert await asyncio.wait_for(heard.messages.get(), 10) == ("one", b"words")
