"""Two processes of the API take what comes at the same moment, and neither knows of the other."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.batches.model import Batch, BatchInput
from tests.api.batches.clerk import Clerk, line
from tests.api.batches.leading import let_time_pass, read
from tests.api.whole_app import WholeApp, whole_app


@pytest.fixture
async def other(
    app: WholeApp, tmp_path: Path, sqlite_url: str, redis_url: str
) -> AsyncIterator[WholeApp]:
    """Another process over the same database."""
    async with whole_app(
        tmp_path, database_url=sqlite_url, redis_url=redis_url, migrated=False
    ) as other:
        yield other


async def at_once(*calls: Any) -> list[int]:
    replies: list[httpx.Response] = await asyncio.gather(*calls)
    return [reply.status_code for reply in replies]


async def test_one_key_is_one_batch_in_both(app: WholeApp, other: WholeApp, clerk: Clerk) -> None:
    both = [clerk, Clerk(other)] * 4
    replies = await asyncio.gather(*(each.post("key-1", requests=[line("a")]) for each in both))

    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 1
    assert len(await clerk.rows(Batch)) == len(clerk.blobs()) == 1


async def test_what_is_added_while_it_is_closed_is_in_it_or_refused(
    app: WholeApp, other: WholeApp, clerk: Clerk
) -> None:
    for number in range(5):
        path = f"/v1/batches/{(await clerk.create(open=True))['id']}"
        adding: list[Any] = [
            each.client.post(f"{path}/requests", json={"requests": [line(f"{number}-{name}")]})
            for name, each in enumerate([app, other] * 3)
        ]
        adding.insert(3, other.client.post(f"{path}/close"))
        statuses = await at_once(*adding)
        await read(app)
        batch = (await app.client.get(path)).json()

        assert set(statuses) <= {200, 202, 409}
        assert batch["counts"]["pending"] == statuses.count(202)
    added = await clerk.rows(BatchInput)
    assert len(clerk.blobs()) == len(added), "what was refused left nothing behind"


async def test_it_is_retried_or_deleted_but_not_both(
    app: WholeApp, other: WholeApp, clerk: Clerk
) -> None:
    path = f"/v1/batches/{(await clerk.create(requests=[line('a'), line('b')]))['id']}"
    await read(app)
    await let_time_pass(app)
    retried = [each.client.post(f"{path}/retry") for each in (app, other)]
    statuses = await at_once(*retried, app.client.delete(path))
    await read(app)
    await let_time_pass(app)
    batch = (await app.client.get(path)).json()

    # Whoever came first: either it runs once more, or there is nothing left to be run.
    assert sorted(statuses) in ([200, 409, 409], [202, 202, 409])
    assert batch["status"] == "expired"
    assert batch["counts"]["expired"] == 2
    assert (batch["purged_at"] is None) == (202 in statuses)
