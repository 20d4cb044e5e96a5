"""A tenant's tier and regions: asked for once in some seconds, and never guessed."""

import pytest

from shared.auth import store
from shared.auth.standings import COMMON, Standing, Standings
from shared.database import UNAVAILABLE, Database


class Clock:
    """Seconds that only pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def tenant(database: Database, name: str, **changes: object) -> str:
    async with database.transaction() as db:
        made = await store.ensure_tenant(db, id=f"ten_{name}", name=name, created_at=1)
        await store.change_tenant(db, name, {"weight": 1, **changes})
    return made


async def test_a_change_counts_when_the_answer_is_old(database: Database) -> None:
    clock = Clock()
    standings = Standings(database, fresh_s=5, monotonic=clock)
    plain = await tenant(database, "plain")
    kept = await tenant(database, "kept", tier="gold", regions=["eu", "us-east"])

    assert await standings.of(plain) == COMMON
    assert await standings.of(kept) == Standing("gold", frozenset({"eu", "us-east"}))

    await tenant(database, "kept", tier=None, regions=["eu"])
    clock.now = 4.9
    assert (await standings.of(kept)).tier == "gold"
    clock.now = 5.0
    assert await standings.of(kept) == Standing(None, frozenset({"eu"}))


async def test_without_a_database_what_was_known_holds_and_nothing_is_guessed(
    database: Database,
) -> None:
    clock = Clock()
    known = Standings(database, fresh_s=5, monotonic=clock)
    kept = await tenant(database, "kept", regions=["eu"])
    await known.of(kept)
    away = Database("postgresql+asyncpg://nobody:x@127.0.0.1:1/none")
    clock.now = 6.0
    known._database = away

    assert (await known.of(kept)).regions == frozenset({"eu"})
    with pytest.raises(UNAVAILABLE):
        await Standings(away).of(kept)
    await away.close()
