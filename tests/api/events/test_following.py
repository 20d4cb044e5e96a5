"""`GET /v1/jobs/{id}/events` over the whole application, with a worker in the test's hands."""

import pytest

from api.events import followers
from shared.events.deltas import channel_of
from shared.jobs.transitions import JobState, Reason
from tests.api.events.following import Follow
from tests.api.openai.hand import Hand, chunk, completion
from tests.api.whole_app import WholeApp


async def test_a_job_is_followed_from_its_queue_to_its_end(
    app: WholeApp, hand: Hand, follow: Follow
) -> None:
    job_id = await app.submit("hello", metadata={"name": "Zürich\u2028"})
    stream = follow(job_id)
    first = await stream.event()
    assert (stream.status, first.type) == (200, "snapshot")
    assert 3000 <= (first.retry_ms or 0) < 4000
    shown = (await app.client.get(f"/v1/jobs/{job_id}")).json()
    assert first.data == shown
    assert first.data["queue"]["position"] == 1
    assert {stream.headers[name] for name in ("cache-control", "x-accel-buffering")} == {
        "no-store",
        "no",
    }
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert "access-control-allow-origin" not in stream.headers

    job = await hand.claim(job_id)
    await hand.say(job, 1, chunk(), chunk("Grüße "))
    await hand.say(job, 2, chunk("dich"), chunk(finish="stop"), last=True)
    await hand.end(job, answer=completion("Grüße dich"))

    began, one, two, end = await stream.rest()
    assert [began.type, one.type, two.type, end.type] == [
        "job.started",
        "job.delta",
        "job.delta",
        "job.completed",
    ]
    suffix = job_id[-8:]
    assert [each.id for each in (first, began, one, two, end)] == [
        f"{suffix}.1.0",
        f"{suffix}.2.0",
        f"{suffix}.2.1",
        f"{suffix}.2.2",
        f"{suffix}.3.0",
    ]
    assert [each.retry_ms for each in (began, one, two, end)] == [None] * 4
    assert one.data["chunks"][1]["choices"][0]["delta"]["content"] == "Grüße "
    assert (one.data["claim"], one.data["number"], one.data["last"]) == (2, 1, False)
    assert end.body["id"] == f"evt_{job_id.removeprefix('job_')}_3"
    assert (end.data["status"], end.data["metadata"]) == ("completed", {"name": "Zürich\u2028"})
    assert "result" not in end.data


async def test_who_comes_late_hears_it_all_and_who_comes_back_only_the_rest(
    app: WholeApp, hand: Hand, follow: Follow
) -> None:
    job_id = await app.submit("hello")
    job = await hand.claim(job_id)
    for number in (1, 2, 3):
        await hand.say(job, number, chunk(str(number)))
    early = follow(job_id)
    assert await early.names(4) == ["snapshot", *["job.delta"] * 3]
    back = follow(job_id, last_event_id=f"{job_id[-8:]}.2.2")
    by_query = follow(f"/v1/jobs/{job_id}/events?last_event_id={job_id[-8:]}.2.2")
    for stream in (back, by_query):
        assert (await stream.event()).data["number"] == 3

    await hand.say(job, 4, chunk("4"), last=True)
    await hand.end(job, answer=completion("1234"))

    for stream in (early, back, by_query):
        assert [each.type for each in await stream.rest()] == ["job.delta", "job.completed"]
    again = follow(job_id, last_event_id=f"{job_id[-8:]}.2.4")
    assert [each.type for each in await again.rest()] == ["job.completed"]
    over = follow(job_id, last_event_id=f"{job_id[-8:]}.3.0")
    assert await over.rest() == []
    assert over.status == 204
    ended = follow(job_id)
    assert [each.type for each in await ended.rest()] == ["snapshot", "job.completed"]


@pytest.mark.parametrize("last_id", ["nonsense", "00000000.1.0", "{}.9.0", "{}.1.5"])
async def test_an_id_from_nowhere_resets(
    app: WholeApp, hand: Hand, follow: Follow, last_id: str
) -> None:
    job_id = await app.submit("hello")

    stream = follow(job_id, last_event_id=last_id.format(job_id[-8:]))

    reset, snapshot = await stream.event(), await stream.event()
    assert (reset.type, reset.id, reset.data["reason"]) == ("reset", None, "unknown_id")
    assert reset.retry_ms
    assert (snapshot.type, snapshot.data["status"]) == ("snapshot", "queued")


async def test_a_second_claim_begins_the_text_anew(
    app: WholeApp, hand: Hand, follow: Follow
) -> None:
    job_id = await app.submit("hello")
    heard, stream = await hand.claim(job_id), follow(job_id)
    await hand.say(heard, 1, chunk("what breaks off"))
    assert await stream.names(2) == ["snapshot", "job.delta"]

    await hand.end(heard, JobState.QUEUED, Reason.INTERRUPTED, delay_ms=0)
    reset, snapshot = await stream.event(), await stream.event()
    job = await hand.claim(job_id)
    await hand.say(job, 1, chunk("whole"), last=True)
    await hand.say(heard, 2, chunk("of a dead man"))
    await hand.end(job, answer=completion("whole"))

    assert (reset.type, reset.data["reason"]) == ("reset", "restarted")
    assert (snapshot.data["status"], snapshot.data["status_reason"]) == ("waiting", "interrupted")
    rest = await stream.rest()
    assert [each.type for each in rest] == ["job.started", "job.delta", "job.completed"]
    assert rest[1].data["chunks"][0]["choices"][0]["delta"]["content"] == "whole"


async def test_a_log_that_is_lost_resets(app: WholeApp, hand: Hand, follow: Follow) -> None:
    job_id = await app.submit("hello")
    job, stream = await hand.claim(job_id), follow(job_id)
    await hand.say(job, 1, chunk("one"))
    assert await stream.names(2) == ["snapshot", "job.delta"]
    await hand.resources.redis.delete(channel_of(job_id))

    back = follow(job_id, last_event_id=f"{job_id[-8:]}.2.1")
    assert await back.names(2) == ["reset", "snapshot"]
    await hand.end(job, answer=completion("one"))

    # Nobody knows whether there was more: what was told is taken back.
    rest = [each.type for each in await stream.rest()]
    assert rest == ["reset", "snapshot", "job.completed"]
    assert [each.type for each in await back.rest()] == ["job.completed"]


async def test_a_retry_goes_on_where_a_failure_ended(
    app: WholeApp, hand: Hand, follow: Follow
) -> None:
    job_id = await app.submit("hello")
    job, stream = await hand.claim(job_id), follow(job_id)
    await hand.end(job, JobState.FAILED, Reason.REJECTED, error={"code": "c", "message": "m"})
    assert (await stream.rest())[-1].data["error"] == {"code": "c", "message": "m"}
    await app.client.post(f"/v1/jobs/{job_id}/retry")

    again = follow(job_id, last_event_id=f"{job_id[-8:]}.3.0")

    assert (await again.event()).data["reason"] == "restarted"
    assert (await again.event()).data["generation"] == 2


async def test_a_cancelled_job_ends(app: WholeApp, follow: Follow) -> None:
    job_id = await app.submit("hello")
    stream = follow(job_id)
    await stream.event()

    await app.client.post(f"/v1/jobs/{job_id}/cancel")

    assert [each.type for each in await stream.rest()] == ["job.cancelled"]


async def test_a_notice_that_is_lost_costs_a_little_time(
    app: WholeApp, hand: Hand, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "RECHECK_S", 0.05)
    job_id = await app.submit("hello")
    stream = follow(job_id)
    await stream.event()
    async with app.resources.database.transaction() as db:
        # Nobody is told.
        await db.exec_driver_sql(
            f"UPDATE job SET state = 'cancelled', version = 2, reason = 'cancelled',"
            f" finished_at = created_at WHERE id = '{job_id}'"
        )
        await db.exec_driver_sql(
            f"INSERT INTO event (job_id, number, type, created_at)"
            f" VALUES ('{job_id}', 2, 'job.cancelled', 1)"
        )

    assert [each.type for each in await stream.rest()] == ["job.cancelled"]


async def test_strangers_and_the_deleted(app: WholeApp, follow: Follow) -> None:
    job_id = await app.submit("hello")
    await app.client.post(f"/v1/jobs/{job_id}/cancel")
    await app.client.delete(f"/v1/jobs/{job_id}")
    for path, status in ((f"/v1/jobs/{job_id}/events", 410), ("/v1/jobs/job_none/events", 404)):
        assert (await app.client.get(path)).status_code == status
        assert (await app.client.post(f"{path}/token")).status_code == status
        assert (await app.client_of(None).get(path)).status_code == 401
