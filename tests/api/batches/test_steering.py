"""What a tenant does to its batches: look, cancel, pause, retry, add, close, delete."""

from typing import Any

import pytest

from shared.auth import issuing, store
from shared.auth.permissions import Role
from shared.batches.model import BatchInput, BatchState
from shared.clock import now_ms
from tests.api.batches.clerk import TASK, Clerk, line
from tests.api.whole_app import WholeApp

ALIVE = ("validating", "in_progress", "finalizing", "cancelling")
ENDED = ("completed", "failed", "expired", "cancelled")


async def in_state(clerk: Clerk, state: str, **changes: Any) -> str:
    """Create a batch and have the leader bring it to a state."""
    batch_id = str((await clerk.create(requests=[line("one")]))["id"])
    finished = {"finished_at": now_ms()} if state in ENDED else {}
    await clerk.change(batch_id, state=state, **finished, **changes)
    return batch_id


async def test_lists_go_on_behind_an_id(clerk: Clerk) -> None:
    made = [(await clerk.create())["id"] for _ in range(5)]

    first = (await clerk.client.get("/v1/batches", params={"limit": 2})).json()
    rest = (await clerk.client.get("/v1/batches", params={"after": first["last_id"]})).json()

    seen = [each["id"] for each in (*first["data"], *rest["data"])]
    assert (first["object"], first["has_more"], rest["has_more"]) == ("list", True, False)
    assert sorted(seen) == sorted(made)
    oldest = await clerk.client.get("/v1/batches", params={"order": "asc"})
    assert [each["id"] for each in oldest.json()["data"]] == seen[::-1]


async def test_a_list_of_one_status(clerk: Clerk) -> None:
    done = await in_state(clerk, "completed")
    await in_state(clerk, "in_progress")

    listed = await clerk.client.get("/v1/batches", params={"status": "completed"})

    assert [each["id"] for each in listed.json()["data"]] == [done]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"after": "nothing"}, "after"),
        ({"status": "done"}, "status"),
        ({"state": "completed"}, "state"),
    ],
)
async def test_a_list_of_nonsense(clerk: Clerk, query: dict[str, str], param: str) -> None:
    reply = await clerk.client.get("/v1/batches", params=query)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_what_is_not_mine_is_not_there(clerk: Clerk, app: WholeApp) -> None:
    batch_id = (await clerk.create(open=True))["id"]
    async with app.resources.database.transaction() as db:
        other = await store.ensure_tenant(db, id="ten_other", name="other", created_at=1)
    _, key = await issuing.issue(
        app.resources.database,
        app.resources.secret_key,
        tenant_id=other,
        name="theirs",
        role=Role.ADMIN,
    )
    theirs = app.client_of(key)
    calls = [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/requests", {"requests": [line("x")]}),
        *[("POST", f"/{what}", None) for what in ("cancel", "pause", "resume", "retry", "close")],
    ]

    for method, path, body in calls:
        for client, wanted in ((theirs, batch_id), (clerk.client, "batch_none")):
            reply = await client.request(method, f"/v1/batches/{wanted}{path}", json=body)
            assert (reply.status_code, reply.json()["code"]) == (404, "batch_not_found")
    assert (await theirs.get("/v1/batches")).json()["data"] == []
    row = await clerk.row(batch_id)
    assert (row["state"], row["held"], row["open"]) == ("in_progress", False, True)


@pytest.mark.parametrize("state", ["validating", "in_progress"])
async def test_cancel_is_a_flag(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state, open=True, paused=True, retrying=True)

    first = await clerk.act(batch_id, "cancel")
    again = await clerk.act(batch_id, "cancel")

    row = await clerk.row(batch_id)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["status"] == again.json()["status"] == "cancelling"
    assert first.json()["cancelling_at"] is not None
    assert (row["held"], row["paused"], row["open"], row["retrying"]) == (True, False, False, False)


@pytest.mark.parametrize("state", ["finalizing", "cancelled"])
async def test_a_cancel_that_has_nothing_to_stop(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state)

    reply = await clerk.act(batch_id, "cancel")

    assert (reply.status_code, reply.json()["status"]) == (200, state)


@pytest.mark.parametrize("state", ["completed", "failed", "expired"])
async def test_a_cancel_that_is_too_late(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state)

    reply = await clerk.act(batch_id, "cancel")

    assert (reply.status_code, reply.json()["code"]) == (409, "not_cancellable")
    assert reply.headers["x-should-retry"] == "false"
    assert reply.json()["batch_status"] == state


async def test_pause_and_resume(clerk: Clerk) -> None:
    batch_id = await in_state(clerk, "in_progress")

    for what, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        reply = await clerk.act(batch_id, what)
        row = await clerk.row(batch_id)
        assert (reply.status_code, reply.json()["paused"]) == (200, paused)
        assert (row["paused"], row["held"]) == (paused, paused)


@pytest.mark.parametrize("state", ["finalizing", "cancelling", *ENDED])
@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_only_what_runs_is_paused(clerk: Clerk, state: str, what: str) -> None:
    batch_id = await in_state(clerk, state, held=state == "cancelling")

    reply = await clerk.act(batch_id, what)

    assert (reply.status_code, reply.json()["code"]) == (409, "not_running")
    assert (await clerk.row(batch_id))["held"] == (state == "cancelling")


@pytest.mark.parametrize("state", ["completed", "expired", "cancelled"])
async def test_an_ended_batch_is_opened_again(clerk: Clerk, state: str) -> None:
    files = {"output_file_id": "file-1", "error_file_id": "file-2"}
    times = {"finalizing_at": 1, "cancelling_at": 1, "complete_by": 1, "held": True}
    batch_id = await in_state(clerk, state, failed=1, expired=2, total=3, **files, **times)

    reply = await clerk.act(batch_id, "retry")

    row, now = await clerk.row(batch_id), now_ms()
    assert (reply.status_code, reply.json()["status"]) == (202, "in_progress")
    assert (row["retrying"], row["held"], row["finished_at"]) == (True, False, None)
    assert (row["output_file_id"], row["error_file_id"], row["finalizing_at"]) == (None, None, None)
    assert now + 23 * 3_600_000 < row["complete_by"] <= now + 24 * 3_600_000


async def test_a_running_batch_is_retried_and_stays_as_it_was(clerk: Clerk) -> None:
    batch_id = await in_state(clerk, "in_progress", failed=1, total=3, paused=True, held=True)

    reply = await clerk.act(batch_id, "retry", completion_window="2h")

    row, now = await clerk.row(batch_id), now_ms()
    assert reply.status_code == 202
    assert (row["retrying"], row["paused"], row["held"]) == (True, True, True)
    assert now + 7_100_000 < row["complete_by"] <= now + 7_200_000


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("completed", {"completed": 3, "total": 3}),
        ("completed", {"failed": 1, "purged_at": 1}),
        ("failed", {}),
        ("validating", {"failed": 1}),
        ("finalizing", {"failed": 1}),
        ("cancelling", {"failed": 1}),
    ],
)
async def test_what_cannot_be_retried(clerk: Clerk, state: str, changes: dict[str, int]) -> None:
    batch_id = await in_state(clerk, state, **changes)

    reply = await clerk.act(batch_id, "retry")

    assert (reply.status_code, reply.json()["code"]) == (409, "not_retryable")
    assert (await clerk.row(batch_id))["state"] == state


async def test_a_retry_for_too_long(clerk: Clerk) -> None:
    batch_id = await in_state(clerk, "completed", failed=1)

    for window in ("8d", "soon"):
        reply = await clerk.act(batch_id, "retry", completion_window=window)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "completion_window")


async def test_lines_are_added_until_it_is_closed(clerk: Clerk) -> None:
    batch_id = (await clerk.create(requests=[line("one")], open=True))["id"]

    added = await clerk.act(batch_id, "requests", requests=[line("two"), line("three")])
    closed = [await clerk.act(batch_id, "close") for _ in range(2)]
    late = await clerk.act(batch_id, "requests", requests=[line("four")])

    assert added.status_code == 202
    assert [reply.json()["open"] for reply in closed] == [False, False]
    assert (late.status_code, late.json()["code"]) == (409, "batch_closed")
    assert await clerk.lines_of(batch_id) == [[line("one")], [line("two"), line("three")]]
    inputs = await clerk.rows(BatchInput)
    assert [(row["number"], row["lines"], row["stored"]) for row in inputs] == [
        (0, 1, False),
        (1, 2, False),
    ]
    assert len(clerk.blobs()) == 2


@pytest.mark.parametrize("state", ["finalizing", "cancelling", *ENDED])
async def test_nothing_is_added_to_what_ends(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state, open=True)
    blobs = len(clerk.blobs())

    reply = await clerk.act(batch_id, "requests", requests=[line("two")])

    assert (reply.status_code, reply.json()["code"]) == (409, "batch_closed")
    assert len(clerk.blobs()) == blobs


async def test_what_is_added_is_checked(clerk: Clerk) -> None:
    made = await clerk.create(open=True, endpoint="/v1/chat/completions")

    bad = await clerk.act(
        made["id"], "requests", requests=[line("one"), line("two", url="/v1/embeddings")]
    )
    none = await clerk.act(made["id"], "requests", requests=[])

    assert [each["code"] for each in bad.json()["line_errors"]] == ["mismatched_endpoint"]
    assert (none.status_code, none.json()["error"]["param"]) == (400, "requests")
    assert await clerk.rows(BatchInput) == []


async def test_documents_are_added_to_documents(clerk: Clerk) -> None:
    file_id = await clerk.upload(b"Total: 1", name="one.txt", purpose="user_data")
    made = await clerk.create(files=[file_id], open=True, **TASK)

    there = {"custom_id": "two", "file_id": file_id}
    added = await clerk.act(made["id"], "requests", requests=[there])
    gone = await clerk.act(
        made["id"], "requests", requests=[{"custom_id": "three", "file_id": "file-none"}]
    )

    assert (added.status_code, gone.status_code) == (202, 404)
    assert [row["kind"] for row in await clerk.rows(BatchInput)] == ["files", "files"]


@pytest.mark.parametrize("state", ENDED)
async def test_an_ended_batch_is_deleted(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state, completed=1, total=1, cost_nanousd=5)

    reply = await clerk.client.delete(f"/v1/batches/{batch_id}")

    assert reply.json() == {"id": batch_id, "object": "batch", "deleted": True}
    results = await clerk.client.get(f"/v1/batches/{batch_id}/results")
    assert (results.status_code, results.json()["code"]) == (410, "batch_purged")
    left = (await clerk.client.get(f"/v1/batches/{batch_id}")).json()
    assert (left["status"], left["cost_usd"], left["counts"]["completed"]) == (
        state,
        "0.000000005",
        1,
    )
    assert left["purged_at"]
    assert (await clerk.client.delete(f"/v1/batches/{batch_id}")).status_code == 200
    assert (await clerk.client.get("/v1/batches")).json()["data"] == [left]
    row = await clerk.row(batch_id)
    assert (row["completed"], row["cost_nanousd"], row["metadata"]) == (1, 5, {})


@pytest.mark.parametrize("state", ALIVE)
async def test_only_what_has_ended_is_deleted(clerk: Clerk, state: str) -> None:
    batch_id = await in_state(clerk, state)

    reply = await clerk.client.delete(f"/v1/batches/{batch_id}")

    assert (reply.status_code, reply.json()["code"]) == (409, "not_finished")
    assert (await clerk.client.get(f"/v1/batches/{batch_id}")).json()["status"] == state


@pytest.mark.parametrize("what", ["cancel", "pause", "resume", "retry", "close", "requests"])
async def test_who_may_only_look_steers_nothing(clerk: Clerk, app: WholeApp, what: str) -> None:
    batch_id = await in_state(clerk, "in_progress", open=True, failed=1)
    viewer = app.client_of(await app.key(Role.VIEWER))

    reply = await viewer.post(f"/v1/batches/{batch_id}/{what}", json={"requests": [line("x")]})

    assert reply.status_code == 403
    assert (await viewer.get(f"/v1/batches/{batch_id}")).status_code == 200
    assert {each.value for each in BatchState} == {*ALIVE, *ENDED}
