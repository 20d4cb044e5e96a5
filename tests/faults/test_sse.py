"""Event streams that break and go on: who comes back, who stands nowhere, what was missed (scenario 63)."""

from typing import Any

import pytest

from tests.fakes.upstream_client import rule
from tests.faults import oracle
from tests.faults.client import Accepted
from tests.faults.polling import until
from tests.faults.service import Service
from tests.faults.sse import Follower

STARTED = 2


@pytest.mark.parametrize("where", ["start", "middle", "end"])
def test_a_client_comes_back_to_where_it_was(service: Service, where: str) -> None:
    whole = _told_whole(service)
    ids = [event.id for event in whole.events if event.id]
    last_id = {"start": ids[0], "middle": ids[len(ids) // 2], "end": ids[-1]}[where]

    again = service.client.follow(whole.job_id, last_id=last_id)

    assert again.over.wait(10)
    if where == "end":
        assert (again.events, again.statuses) == ([], [204])
    else:
        rest = [_told(event) for event in whole.events if event.id][ids.index(last_id) + 1 :]
        assert [_told(event) for event in again.events] == rest


@pytest.mark.parametrize("what", ["nonsense", "another", "ahead", "trimmed", "emptied"])
def test_a_client_that_stands_nowhere_is_told_so(service: Service, what: str) -> None:
    whole, other = _told_whole(service), _told_whole(service)
    middle = whole.deltas[len(whole.deltas) // 2]
    suffix = whole.job_id[-8:]
    last_id = {
        "nonsense": "'; DROP TABLE job; --",
        "another": other.deltas[0].id,
        "ahead": f"{suffix}.99.0",
    }.get(what, middle.id)
    with service.redis_client() as client:
        if what == "trimmed":
            client.xtrim(f"penstock:deltas:{whole.job_id}", maxlen=1, approximate=False)
        elif what == "emptied":
            client.flushall()

    again = service.client.follow(whole.job_id, last_id=last_id)

    assert again.over.wait(10)
    assert again.names()[:2] == ["reset", "snapshot"]
    assert again.names()[-1] == "job.completed"
    assert again.events[1].data["data"]["status"] == "completed"


def test_the_connection_is_cut_every_now_and_then(service: Service) -> None:
    service.api.stop()
    service.api.start(SSE_LIFE_S="0.4")
    service.await_api()
    text = service.client.unique_text()
    said = f"{text} " + "".join(f"word {n:02} " for n in range(40))
    service.upstream.script(rule("ok", chunk_delay_ms=60, marker=text, content=said))
    job = service.client.submit(text=text, body={"stream": True})

    oracle.settle(service)

    assert job.follower
    assert job.follower.connections > 3
    assert job.follower.names().count("snapshot") == 1, "it was resumed, not begun again"


def test_notices_are_lost_and_the_end_is_told(service: Service) -> None:
    """Redis is away when the job ends: nobody is told of it, and the stream ends all the same."""
    service.upstream.script(rule("gate"))
    job = service.client.submit(body={"stream": True})
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    assert job.follower
    follower = job.follower
    until(lambda: follower.number == STARTED, "its start was told")
    service.redis.kill()
    service.upstream.release()

    until(lambda: _names(job)[-1] == "job.completed", "its end is told", within_s=10)

    service.redis.start()
    oracle.settle(service)


def test_a_stranger_follows_nothing(service: Service) -> None:
    whole = _told_whole(service)

    spy = Follower([service.client.port], service.stranger_key, whole.job_id)

    until(lambda: len(spy.statuses) > 1, "it was answered")
    spy.stop()
    assert set(spy.statuses) == {404}
    assert not spy.events
    token = f"/v1/jobs/{whole.job_id}/events/token"
    assert service.client.call("POST", token, key=service.stranger_key).status == 404


def _told_whole(service: Service) -> Follower:
    """Return a follower that was there from a job's start to its end."""
    text = service.client.unique_text()
    said = f"{text} " + "".join(f"word {n:02} " for n in range(10))
    service.upstream.script(rule("gate", marker=text, content=said, chunk_delay_ms=30))
    job = service.client.submit(text=text, body={"stream": True})
    follower = job.follower or service.client.follow(job.id)
    job.follower = follower
    until(lambda: follower.number == STARTED, "its start was told")
    service.upstream.wait(lambda seen: seen["gated"] == 1)
    service.upstream.release()
    oracle.settle(service)
    return follower


def _told(event: Any) -> tuple[str, str, object]:
    data = event.data["data"]
    return event.name, event.id, data.get("chunks", data.get("status"))


def _names(job: Accepted) -> list[str]:
    assert job.follower
    return [name for name in job.follower.names() if name == "snapshot" or name.startswith("job.")]
