"""Crashes in the middle of what a batch adds: shared answers, long documents, cancels, the telling of its end."""

import re
from collections import Counter
from functools import partial
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.fakes.receiver import Received
from tests.fakes.upstream_client import rule
from tests.faults import oracle, pile_oracle, telling
from tests.faults.piles import Pile, hand_over, line, texts, upload
from tests.faults.polling import until
from tests.faults.service import Service

QUESTIONS, ASKED = 24, 8
PATIENT = {"QUARANTINE_AFTER": "100"}
WATCHED = ("progress", "completed", "failed", "expired", "cancelled")
PARTS = 6
PARAGRAPH = "Nothing of any interest stands in this line of the report, which is long.\n"
SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"type": "string"}}},
    "required": ["items"],
    "additionalProperties": False,
}
PART = re.compile(r"Part (\d+) of (\d+)")


def test_shared_answers_over_deaths_of_worker_and_leader(service: Service) -> None:
    service.scheduler.stop()
    service.scheduler.start(**PATIENT)
    service.upstream.script(rule("ok", model="narrow", delay_ms=80))
    asked = [text for _, text in texts(service.client, QUESTIONS)]
    lines = [
        line(f"line-{turn}-{number}", text, model="narrow")
        for turn in range(ASKED)
        for number, text in enumerate(asked)
    ]
    pile = hand_over(service.client, lines, coalesce=True)
    pile.follow()
    for share in (8, 4, 2):
        until(partial(_is_done, pile, len(lines) // share), "the pile is at work", within_s=30)
        service.crash_worker()
        service.scheduler.kill()
        service.worker.start()
        service.scheduler.start(**PATIENT)

    shown = pile.wait()

    pile.stop()
    assert shown["counts"]["completed"] == QUESTIONS * ASKED
    # It also sees to it that no question was asked twice without a recorded reason.
    pile_oracle.check(service, pile)


def test_a_running_call_of_a_cancelled_batch_is_stopped_at_once(service: Service) -> None:
    service.worker.stop()
    service.worker.start(LEASE_S="60", RENEW_S="30")
    service.upstream.script(rule("hang", model="narrow"))
    pile = hand_over(
        service.client, [line(*each, model="narrow") for each in texts(service.client, 20)]
    )
    service.upstream.wait(lambda seen: seen["in_flight"] == 4)

    pile.act("POST", "/cancel")

    service.upstream.wait(lambda seen: seen["in_flight"] == 0, within_s=5)
    shown = pile.wait()
    assert shown["counts"]["cancelled"] == 20
    pile_oracle.check(service, pile)


def test_nothing_begins_while_a_batch_is_paused(service: Service) -> None:
    service.upstream.script(rule("gate", model="narrow", times=4), rule("ok", delay_ms=20))
    pile = hand_over(
        service.client, [line(*each, model="narrow") for each in texts(service.client, 80)]
    )
    service.upstream.wait(lambda seen: seen["gated"] == 4)
    assert pile.act("POST", "/pause").status == 200
    # Those that were claimed and wait for a slot go back.
    until(lambda: _in(service, pile, "state = 'running'") == 4, "nothing else is in hand")
    before = service.upstream.stats()["calls"]
    service.upstream.release()
    until(lambda: pile.shown()["counts"]["completed"] == 4, "what ran has ended")
    service.crash_worker()
    service.scheduler.kill()
    service.worker.start()
    service.scheduler.start()
    until(lambda: _in(service, pile, "held = 'paused'") == 76, "the others are marked", within_s=20)
    assert service.upstream.stats()["calls"] == before

    assert pile.act("POST", "/resume").status == 200

    shown = pile.wait()
    assert shown["counts"]["completed"] == 80
    pile_oracle.check(service, pile)


def test_a_worker_dies_in_the_middle_of_a_long_document(service: Service) -> None:
    settings = {"MAX_DOCUMENT_CHARS": "3000", "DOCUMENT_CALLS_AT_ONCE": "2"}
    service.worker.stop()
    service.worker.start(**settings)
    words = f"List it {uuid4().hex}."
    said = orjson.dumps({"items": ["a"]}).decode()
    gates = [rule("gate", marker=f"Part {number} of", times=1) for number in (3, 4)]
    service.upstream.script(*gates, rule("ok", content=said))
    job_id = _document(service, words)
    service.upstream.wait(lambda seen: seen["gated"] == 2)
    service.crash_worker()
    service.upstream.release()

    service.worker.start(**settings)

    job = until(partial(_completed, service, job_id), "it is read", within_s=30)
    assert job["result"]["body"]["data"] == {"items": ["a"]}
    calls = Counter(_part(call["marker"]) for call in service.upstream.calls(marker=words))
    most = max(calls)
    assert most >= PARTS
    assert calls == {number: 2 if number in (3, 4) else 1 for number in range(1, most + 1)}
    rows = service.sql.rows("SELECT status FROM attempt WHERE job_id = ?", job_id)
    assert Counter(row["status"] for row in rows) == {"ok": most, "unknown": 2}


@pytest.mark.parametrize("where", ["after_batch_files", "after_webhook_post"])
def test_the_end_of_a_batch_is_told_once(service: Service, where: str) -> None:
    leads = where == "after_batch_files"
    dies, kinds = (service.scheduler, WATCHED) if leads else (service.worker, WATCHED[1:])
    hook = {"url": service.receiver.url("/pile"), "events": [f"batch.{each}" for each in kinds]}
    service.upstream.script(rule("ok", delay_ms=10))
    lines = [line(*each) for each in texts(service.client, 400)]
    dies.stop()
    dies.start(FAILPOINT=where)
    pile = hand_over(service.client, lines, webhook=hook)
    service.run_until_killed(dies)
    dies.start()
    pile.wait()
    until(lambda: _told(service, "batch.completed"), "its end is told", within_s=20)
    service.crash_worker()
    service.worker.start()
    oracle.settle(service)

    (told,) = {post.headers["webhook-id"] for post in _told(service, "batch.completed")}
    assert {_data(post)["counts"]["completed"] for post in _told(service, "batch.completed")} == {
        400
    }
    assert not [each for each in WATCHED[2:] if _told(service, f"batch.{each}")]
    # At the most one for each twentieth of the lines.
    progress = {
        post.headers["webhook-id"]: _data(post) for post in _told(service, "batch.progress")
    }
    assert len(progress) <= 20
    assert told not in progress
    secret = service.client.call("GET", "/v1/webhook_secret").body["signing_secret"]
    assert not list(telling.signed(list(service.receiver.received), secret))
    pile_oracle.check(service, pile)


def _is_done(pile: Pile, number: int) -> bool:
    return bool(pile.shown()["counts"]["completed"] >= number)


def _in(service: Service, pile: Pile, condition: str) -> int:
    rows = service.sql.rows(
        f"SELECT count(*) AS n FROM job WHERE batch_id = ? AND {condition}", pile.id
    )
    return int(rows[0]["n"])


def _document(service: Service, words: str) -> str:
    """Submit a text of some parts; return its job's id."""
    pages = [f"# Chapter {number}\n\n" + PARAGRAPH * 34 for number in range(1, PARTS + 1)]
    file_id = upload(
        service.client, "\n".join(pages).encode(), name="report.md", purpose="user_data"
    )
    body = {"model": "open", "instructions": words, "schema": SCHEMA, "file_id": file_id}
    reply = service.client.call(
        "POST", "/v1/jobs", {"endpoint": "/v1/documents", "body": body, "max_attempts": 5}
    )
    assert reply.status == 202, reply
    return str(reply.body["id"])


def _completed(service: Service, job_id: str) -> Any:
    job = service.client.get(job_id)
    assert job["status"] not in ("failed", "cancelled", "expired"), job
    return job if job["status"] == "completed" else None


def _part(marker: str) -> int:
    found = PART.search(marker)
    return int(found[1]) if found else 0


def _told(service: Service, kind: str) -> list[Received]:
    return [
        post for post in list(service.receiver.received) if orjson.loads(post.body)["type"] == kind
    ]


def _data(post: Received) -> dict[str, dict[str, int]]:
    data: dict[str, dict[str, int]] = orjson.loads(post.body)["data"]
    return data
