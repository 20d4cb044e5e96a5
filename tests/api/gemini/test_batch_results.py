"""What became of many requests of Google's, told in their order and never held all at once."""

from typing import Any

import orjson
import pytest
from sqlalchemy import update
from sqlmodel import col

from api.gemini.batch_results import whole_operation
from shared.batches import outcomes as outcomes_module
from shared.batches import store
from shared.batches.model import Batch
from shared.database import Row
from shared.errors import Gone
from tests.api.batches.leading import jobs, lead, read
from tests.api.gemini.asking import HELLO, answer
from tests.api.gemini.test_batches import create, got
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

COUNT = 7


@pytest.fixture
async def name(app: WholeApp, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> str:
    """An ended batch, of whose requests the last was answered first; read in pages of three."""
    monkeypatch.setattr(outcomes_module, "LINES_AT_ONCE", 3)
    given = [{"request": HELLO, "metadata": {"key": str(n)}} for n in range(COUNT)]
    name = str((await create(app, *given))["name"])
    await read(app)
    named = await jobs(app)
    for number in range(COUNT, 0, -1):
        said = orjson.dumps(answer(f"answer {number}"))
        await hand.end(await hand.claim(named[str(number)]), answer=said)
    await lead(app)
    return name


def _told(whole: dict[str, Any]) -> list[tuple[str, str]]:
    listed = whole["response"]["inlinedResponses"]["inlinedResponses"]
    assert whole["metadata"]["output"]["inlinedResponses"]["inlinedResponses"] == listed
    return [
        (each["metadata"]["key"], each["response"]["candidates"][0]["content"]["parts"][0]["text"])
        for each in listed
    ]


async def test_they_come_in_the_order_of_the_requests(app: WholeApp, name: str) -> None:
    whole = await got(app, name)

    assert whole["done"] is True
    assert _told(whole) == [(str(n), f"answer {n + 1}") for n in range(COUNT)]


async def _batch(app: WholeApp, name: str) -> Row:
    async with app.resources.database.reading() as db:
        batch = await store.get(db, app.tenant_id, name.removeprefix("batches/"))
    assert batch is not None
    return batch


async def test_they_come_page_by_page(app: WholeApp, name: str) -> None:
    pieces = [piece async for piece in whole_operation(app.resources, await _batch(app, name))]

    assert len(pieces) >= 2 * -(-COUNT // 3)
    assert max(map(len, pieces)) < len(b"".join(pieces)) / 2


async def test_what_is_removed_meanwhile_leaves_no_shorter_list(app: WholeApp, name: str) -> None:
    pieces = whole_operation(app.resources, await _batch(app, name))
    await anext(pieces)
    await anext(pieces)
    async with app.resources.database.transaction() as db:
        await db.execute(update(Batch).values({col(Batch.purged_at): 1}))

    with pytest.raises(Gone):
        _ = [piece async for piece in pieces]
