"""A caller that goes away, or that has waited long enough, and what becomes of its job."""

import asyncio
from pathlib import Path

import pytest

from tests.api.openai.direct import asking, leaving
from tests.api.openai.hand import Hand, a_hand, completion
from tests.api.whole_app import WholeApp, whole_app


async def test_who_leaves_ends_a_job_that_waits(app: WholeApp, hand: Hand) -> None:
    async with leaving(app) as exchange:
        job_id = await hand.job()
        exchange.leave()
        await hand.stopped(job_id)

    assert await hand.state(job_id) == "cancelled"
    assert exchange.status == 499


async def test_who_leaves_ends_a_call(app: WholeApp, hand: Hand) -> None:
    async with leaving(app) as exchange:
        job = await hand.claim()
        exchange.leave()
        await hand.stopped(job.id)

    assert hand.cancelled == [job.id]


@pytest.mark.parametrize(
    "headers", [{"Penstock_On_Disconnect": "continue"}, {"Idempotency_Key": "come-back"}]
)
async def test_who_leaves_may_want_the_job_all_the_same(
    app: WholeApp, hand: Hand, headers: dict[str, str]
) -> None:
    async with leaving(app, **headers) as exchange:
        job = await hand.claim()
        exchange.leave()
        await asyncio.wait_for(exchange.task, 10)

    await hand.end(job, answer=completion("x"))
    assert await hand.state(job.id) == "completed"
    assert hand.cancelled == []


async def test_a_replayer_ends_nothing_by_leaving(app: WholeApp, hand: Hand) -> None:
    policy = {"Idempotency_Key": "shared", "Penstock_On_Disconnect": "cancel"}
    async with leaving(app, **policy) as first:
        job = await hand.claim()
        async with leaving(app, **policy) as second:
            second.leave()
            await asyncio.wait_for(second.task, 10)
        assert hand.cancelled == []
        first.leave()
        await hand.stopped(job.id)


async def test_a_policy_that_is_none_is_refused(app: WholeApp) -> None:
    reply = await asking(app, Penstock_On_Disconnect="perhaps")

    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "Penstock-On-Disconnect"


async def test_the_operator_sets_what_leaving_means(
    tmp_path: Path, sqlite_url: str, redis_url: str
) -> None:
    async with (
        whole_app(
            tmp_path, database_url=sqlite_url, redis_url=redis_url, on_disconnect="continue"
        ) as app,
        a_hand(app.settings) as hand,
    ):
        async with leaving(app) as exchange:
            job = await hand.claim()
            exchange.leave()
            await asyncio.wait_for(exchange.task, 10)
        await hand.end(job, answer=completion("x"))


async def test_a_stopping_server_lets_calls_end(app: WholeApp, hand: Hand) -> None:
    async with leaving(app) as exchange:
        job = await hand.claim()
        app.state["waiting"].leave()
        await hand.end(job, answer=completion("in time"))

        assert await exchange.rest() == completion("in time")


async def test_who_waits_in_vain_is_told_to_come_back(app: WholeApp, hand: Hand) -> None:
    asked = asking(app, x_stainless_read_timeout="1.2")
    job = await hand.claim()
    reply = await asked

    assert reply.status_code == 503
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert reply.json()["error"]["code"] == "sync_timeout"
    assert reply.headers["penstock-job-id"] == job.id
    await hand.stopped(job.id)


async def test_a_job_may_go_on_without_its_caller(app: WholeApp, hand: Hand) -> None:
    asked = asking(app, x_stainless_read_timeout="0.1", Penstock_On_Disconnect="continue")
    job = await hand.claim()
    reply = await asked
    await hand.end(job, answer=completion("late"))

    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "sync_timeout")
    assert f"/v1/jobs/{job.id}" in reply.json()["detail"]
    later = await app.client.get(f"/v1/jobs/{job.id}/result")
    assert later.content == completion("late")
    lifetime_s = (await hand.value(job.id, "complete_by") - job.created_at) / 1000
    assert lifetime_s == app.settings.default_lifetime_s
