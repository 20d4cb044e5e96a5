"""The end of a turn: what comes due in that very moment is sent once, by one turn alone."""

import asyncio
from collections import Counter

from typing_extensions import override

from shared.database import Database
from shared.settings import Settings
from shared.webhooks.delivery import Sender
from shared.webhooks.delivery_store import Won
from shared.webhooks.egress import Guard, open_session
from shared.webhooks.tries_store import Report
from tests.fakes.receiver import Answer, Receiver
from tests.integration.webhooks.conftest import BOX, Rows, states
from workers.delivery.deliverer import Deliverer
from workers.delivery.desk import Desk

ANSWER_S = 0.3
LATE_S = 2 * ANSWER_S
LATE_CLAIM = 3


class _BusyDesk(Desk):
    """One whose database is so busy that it hears late of what its third claim won."""

    claims = 0
    recorded = 0

    @override
    async def record(self, report: Report) -> None:
        await super().record(report)
        self.recorded += 1

    @override
    async def claim(self, target: str, limit: int) -> Won:
        self.claims += 1
        late = self.claims == LATE_CLAIM
        won = await super().claim(target, limit)
        if late:
            await asyncio.sleep(LATE_S)
        return won


async def test_what_is_won_as_a_turn_ends_is_sent_once(
    database: Database, rows: Rows, receiver: Receiver
) -> None:
    receiver.script(Answer(delay_s=ANSWER_S / 2))
    receiver.default = Answer(delay_s=ANSWER_S)
    endpoint = await rows.endpoint(receiver.url())
    guard = Guard(allow_private=True)
    session = open_session(guard, at_once=10)
    desk = _BusyDesk(database, Settings(), Sender(session, guard, timeout_s=5), BOX, owner="me")
    deliverer = Deliverer(desk, at_once=5)

    # The second goes beside the first and takes longer; the third is won when both are over.
    await rows.delivery(receiver.url(), endpoint)
    await deliverer.take([endpoint])
    await receiver.wait_for(1)
    await rows.delivery(receiver.url(), endpoint)
    await deliverer.take([endpoint])
    await receiver.wait_for(2)
    while not desk.recorded:  # noqa: ASYNC110  a hundred times a second is soon enough
        await asyncio.sleep(0.01)
    await rows.delivery(receiver.url(), endpoint)
    await deliverer.take([endpoint])
    await receiver.wait_for(3)
    # While it is on its way somebody looks again, as for every event.
    await deliverer.take([endpoint])
    await deliverer.idle()

    await asyncio.sleep(2 * ANSWER_S)
    await desk.close()
    await session.close()
    posts = Counter(got.headers["webhook-id"] for got in receiver.received)
    assert set(posts.values()) == {1}, posts
    assert await states(rows) == ["delivered"] * 3
