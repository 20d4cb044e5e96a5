"""I7 and I8: what was told of a job, by webhook and by event stream, against what happened to it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import orjson
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.fakes.receiver import Received
from tests.faults.evidence import Case
from tests.faults.sql import Row
from tests.faults.sse import FINAL, Follower, Told

STATES = {"started": "running", "waiting": "queued"}
"""Events that are called otherwise than the state that they tell of."""


def numbered(case: Case) -> Iterator[str]:
    """I8: each change of a job is an event, numbered from 1 to the job's version, and no more."""
    if case.job is None:
        return
    numbers = [row["number"] for row in case.events]
    if case.rewritten:
        yield f"I7 {sorted({row['what'] for row in case.rewritten})}"
    if numbers != list(range(1, case.job["version"] + 1)):
        yield f"I8 the events are numbered {numbers}, the job is at {case.job['version']}"
    states = {row["version"]: row["state"] for row in case.history}
    for row in case.events:
        name = row["type"].removeprefix("job.")
        if states.get(row["number"]) != STATES.get(name, name):
            yield f"I8 event {row['number']} is {row['type']}, the job was {states}"


def delivered(case: Case) -> Iterator[str]:
    """I7: each event that is listened to is one delivery; it arrived, or it can be seen that not."""
    wanted = Counter(_event_id(row) for row in case.events if row["type"] in case.wanted.hears)
    found = Counter(row["event_id"] for row in case.deliveries if row["endpoint_id"] is None)
    if found != wanted:
        yield f"I7 deliveries {found - wanted} too many, {wanted - found} missing"
    posts = _by_id(case.posts)
    for row in case.deliveries:
        tries = [each for each in case.tries if each["delivery_id"] == row["id"]]
        arrived = [each for each in tries if 200 <= (each["status_code"] or 0) < 300]
        if row["state"] == "pending":
            yield f"I7 {row['id']} waits for ever"
        if (row["state"] == "delivered") != bool(arrived):
            yield f"I7 {row['id']} is {row['state']}, its tries {tries}"
        if row["state"] == "delivered" and not posts[row["event_id"]]:
            yield f"I7 {row['id']} is delivered, and nobody received it"
        if [each["number"] for each in tries] != list(range(1, row["tries"] + 1)):
            yield f"I7 {row['tries']} tries are logged as {[each['number'] for each in tries]}"


def received(case: Case) -> Iterator[str]:
    """I7: what came is an event that was committed: the same id, the same bytes, at every try."""
    rows = {_event_id(row): row for row in case.events}
    bodies = {bytes(row["body"]) for row in case.deliveries}
    for event_id, posts in _by_id(case.posts).items():
        row = rows.get(event_id)
        if row is None:
            yield f"I7 {event_id} was sent and never committed"
            continue
        if len({post.body for post in posts}) != 1 or posts[0].body not in bodies:
            yield f"I7 {event_id} was sent in several forms"
        said = orjson.loads(posts[0].body)
        if (said["id"], said["type"]) != (event_id, row["type"]):
            yield f"I7 {event_id} was sent as {said['id']}, {said['type']}"
        for post in posts:
            if 1000 * (int(post.headers["webhook-timestamp"]) + 1) < row["created_at"]:
                yield f"I7 {event_id} was sent before it happened"


def signed(posts: Sequence[Received], secret: str) -> Iterator[str]:
    """I7: each request can be verified by whoever has the secret, with a library of others."""
    hook = Webhook(secret)
    for post in posts:
        try:
            hook.verify(post.body, dict(post.headers))
        except WebhookVerificationError as error:
            yield f"I7 {post.headers.get('webhook-id')} cannot be verified: {error}"


def followed(case: Case, follower: Follower) -> Iterator[str]:
    """I8: a follower is told everything once, in order, or told to forget it; and always the end."""
    if not any(event.name in FINAL for event in follower.events):
        yield f"I8 the end was never told, only {follower.names()}"
    yield from same_again(follower.events)
    yield from in_order(follower.events)
    yield from _whole_text(case, follower.events)


def same_again(events: Sequence[Told]) -> Iterator[str]:
    """I8: an id never comes again with other content."""
    known: dict[tuple[str, str], Any] = {}
    for event in events:
        if event.id and event.name != "snapshot":
            said = _content(event)
            if known.setdefault((event.id, event.name), said) != said:
                yield f"I8 {event.id} was {known[event.id, event.name]}, then {said}"


def _content(event: Told) -> object:
    data = event.data["data"]
    shown = data["chunks"] if event.name == "job.delta" else data["status"]
    return event.data["id"], event.data["type"], shown


def in_order(events: Sequence[Told]) -> Iterator[str]:
    place, told = (0, 0), False
    for before, event in pairwise((None, *events)):
        assert event is not None
        if event.name in ("reset", "reconnect"):
            told = told and event.name != "reset"
        elif event.name == "snapshot":
            if told and (before is None or before.name != "reset"):
                yield f"I8 a snapshot out of the blue, behind {before and before.name}"
            # One who is cut off behind a snapshot without a place is given another one.
            told = event.place is not None
            place = event.place or (0, 0)
        elif event.place is None:
            yield f"I8 {event.name} has no id"
        else:
            if told and not _follows(place, event):
                yield f"I8 {event.name} {event.place} follows {place}"
            told, place = True, event.place


def _follows(place: tuple[int, int], event: Told) -> bool:
    assert event.place
    number, delta = place
    if event.name == "job.delta":
        return event.place == (number, delta + 1)
    return event.place == (number + 1, 0) and (not delta or event.name in FINAL)


def _whole_text(case: Case, events: Sequence[Told]) -> Iterator[str]:
    """What was streamed behind the last beginning is the result, or nothing was."""
    text, any_delta = "", False
    for event in events:
        if event.name in ("reset", "snapshot", "job.started"):
            text, any_delta = "", False
        elif event.name == "job.delta":
            any_delta = True
            text += "".join(_said(event.data["data"]["chunks"]))
        elif event.name == "job.completed" and any_delta:
            generation = case.job["generation"] if case.job else 0
            for row in case.results:
                if row["generation"] == 1 == generation and row["body"]:
                    result = _text_of(row["body"])
                    if text != result:
                        yield f"I8 {text!r} was streamed, {result!r} is the result"


def _said(chunks: Sequence[Any]) -> Iterator[str]:
    for chunk in chunks:
        for choice in chunk.get("choices") or ():
            yield choice["delta"].get("content") or ""


def _text_of(body: bytes) -> str:
    return str(orjson.loads(body)["choices"][0]["message"]["content"])


def _event_id(row: Row) -> str:
    return f"evt_{row['job_id'].removeprefix('job_')}_{row['number']}"


def _by_id(posts: Sequence[Received]) -> dict[str, list[Received]]:
    found = defaultdict(list)
    for post in posts:
        found[post.headers["webhook-id"]].append(post)
    return found
