"""Names whose servers do not answer: their receivers wait, and nobody else's."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.webhooks import egress
from shared.webhooks.egress import LOOKUPS_AT_ONCE, Guard, GuardedResolver

PUBLIC = "93.184.216.34"


class Names:
    """A resolver in which every name but one hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def lookup(self, host: str, port: int, *_rest: object) -> list[Any]:
        if host != "good.example":
            self.let_go.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names()
    yield made
    made.let_go.set()


def resolver_of(names: Names) -> GuardedResolver:
    return GuardedResolver(Guard(allow_private=False, lookup=names.lookup))


async def test_a_name_that_has_answered_does_not_wait_behind_those_that_hang(names: Names) -> None:
    resolver = resolver_of(names)
    await resolver.resolve("good.example", 443)
    hanging = [
        asyncio.create_task(resolver.resolve(f"slow-{number}.example", 443))
        for number in range(2 * LOOKUPS_AT_ONCE)
    ]
    await asyncio.sleep(0)

    (found,) = await asyncio.wait_for(resolver.resolve("good.example", 443), 5)

    assert found["host"] == PUBLIC
    names.let_go.set()
    await asyncio.gather(*hanging)


async def test_a_name_that_hangs_is_given_up(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "LOOKUP_S", 0.01)

    with pytest.raises(OSError, match="not resolved within"):
        await resolver_of(names).resolve("slow.example", 443)


async def test_names_that_hang_hold_a_bounded_number_of_threads(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "LOOKUP_S", 0.05)
    resolver = resolver_of(names)

    tries = (resolver.resolve(f"slow-{number}.example", 443) for number in range(500))
    await asyncio.gather(*tries, return_exceptions=True)

    held = [each for each in threading.enumerate() if each.name == "webhook-lookup"]
    assert len(held) <= LOOKUPS_AT_ONCE
