"""Batches become jobs: all that can be done, and of the others it is said why not."""

from typing import Any

import orjson
import pytest
from sqlalchemy import select
from sqlmodel import col

from shared.batches.model import BatchState, InputKind
from shared.jobs.model import JobRequest
from shared.jobs.transitions import Priority
from tests.integration.batches.piles import CHAT, TASK, Piles, chat, configured, jsonl
from tests.integration.batches.yard import TENANT, Yard


@pytest.fixture
def piles(yard: Yard) -> Piles:
    return Piles(yard)


async def body_of(piles: Piles, job_id: str) -> Any:
    async with piles.resources.database.reading() as db:
        query = select(JobRequest.__table__).where(col(JobRequest.job_id) == job_id)  # type: ignore[attr-defined]
        (row,) = (await db.execute(query)).mappings()
    raw = row["body"] if row["blob"] is None else await piles.resources.blobs.get(row["blob"])
    return orjson.loads(raw)


async def test_every_line_becomes_a_job(piles: Piles) -> None:
    lines = [chat(f"c{i}", f"Say {i}.") for i in range(1201)]
    lines[3] |= {"priority": "interactive", "metadata": {"a": "b"}, "max_attempts": 2}
    batch_id = await piles.create(jsonl(lines), options={"endpoint": CHAT, "max_attempts": 4})

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"], batch["invalid"]) == (BatchState.IN_PROGRESS, 1201, 0)
    assert batch["errors"] is None
    assert batch["model"] == "sandbox/echo"
    assert batch["in_progress_at"] is not None
    jobs = await piles.yard.lines(batch_id)
    assert [job["line"] for job in jobs] == list(range(1, 1202))
    assert [job["custom_id"] for job in jobs] == [line["custom_id"] for line in lines]
    first, special = jobs[0], jobs[3]
    assert first["state"] == "queued"
    assert first["wakeup_at"] is None
    assert first["held"] is None
    assert first["complete_by"] == batch["complete_by"]
    assert first["lane"].startswith("sandbox/echo:")
    assert first["tokens"] > 0
    assert first["priority"] == Priority.BULK.rank
    assert first["max_attempts"] == 4
    assert first["tenant_id"] == TENANT
    assert special["priority"] == Priority.INTERACTIVE.rank
    assert special["metadata"] == {"a": "b"}
    assert special["max_attempts"] == 2
    assert await body_of(piles, special["id"]) == lines[3]["body"]
    (given,) = await piles.inputs(batch_id)
    assert given["checked"]
    assert given["stored"]
    assert (given["lines"], given["stored_jobs"], given["stored_lines"]) == (1201, 1201, 1201)


async def test_a_large_body_lies_in_the_blob_store(piles: Piles) -> None:
    line = chat("large", "x" * 100_000)
    batch_id = await piles.create(jsonl([line, chat("small")]))

    await piles.expand()

    large, _ = await piles.yard.lines(batch_id)
    assert large["request_bytes"] > 100_000
    assert await body_of(piles, large["id"]) == line["body"]


async def test_one_wrong_line_rejects_the_batch(piles: Piles) -> None:
    lines = [chat("a"), chat("b") | {"method": "GET"}, chat("a")]
    batch_id = await piles.create(jsonl(lines))

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert batch["state"] == BatchState.FAILED
    assert batch["finished_at"] is not None
    assert (batch["total"], batch["invalid"]) == (0, 2)
    shown = [(error["line"], error["code"], error["param"]) for error in batch["errors"]]
    assert shown == [
        (2, "invalid_method", "method"),
        (3, "duplicate_custom_id", "custom_id"),
    ]
    assert await piles.yard.lines(batch_id) == []
    assert [event["type"] for event in await piles.yard.events(batch_id)] == ["batch.failed"]
    await piles.expand()
    assert len(await piles.yard.events(batch_id)) == 1


async def test_a_line_with_what_no_database_stores_is_only_wrong(piles: Piles) -> None:
    lines = [chat("a", priority="\x00"), chat("b", metadata={"\x00": "x"}), chat("c")]
    batch_id = await piles.create(jsonl(lines), options={"on_invalid": "skip"})

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"], batch["invalid"]) == (BatchState.IN_PROGRESS, 1, 2)
    assert [error["line"] for error in batch["errors"]] == [1, 2]


async def test_a_thousand_errors_are_shown_and_all_are_counted(piles: Piles) -> None:
    batch_id = await piles.create(b"{}\n" * 1500)

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert batch["invalid"] == 1500
    assert len(batch["errors"]) == 1000


async def test_wrong_lines_are_skipped_where_that_is_wanted(piles: Piles) -> None:
    lines = [chat("a"), chat("a"), {"custom_id": "c"}, chat("d")]
    batch_id = await piles.create(jsonl(lines), options={"on_invalid": "skip"})

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"], batch["invalid"]) == (BatchState.IN_PROGRESS, 2, 2)
    assert [error["line"] for error in batch["errors"]] == [2, 3]
    assert [job["line"] for job in await piles.yard.lines(batch_id)] == [1, 4]


@pytest.mark.parametrize("on_invalid", ["reject", "skip"])
@pytest.mark.parametrize("data", [b"", b"\n \r\n"])
async def test_a_batch_of_nothing_fails(piles: Piles, data: bytes, on_invalid: str) -> None:
    batch_id = await piles.create(data, options={"on_invalid": on_invalid})

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert batch["state"] == BatchState.FAILED
    assert [error["code"] for error in batch["errors"]] == ["empty_file"]


async def test_an_input_that_is_gone_fails_the_batch(piles: Piles) -> None:
    batch_id = await piles.create(jsonl([chat("a")]))
    (given,) = await piles.inputs(batch_id)
    await piles.resources.blobs.delete(given["blob"])

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert batch["state"] == BatchState.FAILED
    assert [error["code"] for error in batch["errors"]] == ["input_file_not_found"]


async def test_more_lines_than_a_batch_may_have(piles: Piles) -> None:
    batch_id = await piles.create(jsonl(chat(f"c{i}") for i in range(11)))

    await piles.expand(configured(piles.resources, max_batch_lines=10))

    batch = await piles.yard.row(batch_id)
    assert batch["state"] == BatchState.FAILED
    assert [error["code"] for error in batch["errors"]] == ["too_many_lines"]


async def test_lines_that_mix_endpoints_and_models(piles: Piles) -> None:
    embedding = {"model": "sandbox/other", "input": "Hello"}
    lines = [chat("a"), chat("b") | {"url": "/v1/embeddings", "body": embedding}]
    batch_id = await piles.create(jsonl(lines))

    await piles.expand()

    jobs = await piles.yard.lines(batch_id)
    assert [job["endpoint"] for job in jobs] == [CHAT, "/v1/embeddings"]
    assert (await piles.yard.row(batch_id))["model"] is None


async def test_documents_must_be_there(piles: Piles) -> None:
    mine, others = await piles.put_file(), await piles.put_file(tenant_id="ten_2")
    lines = [{"custom_id": name, "file_id": name} for name in (mine, others, "file-none")]
    options = {"task": TASK, "on_invalid": "skip"}
    batch_id = await piles.create(jsonl(lines), kind=InputKind.FILES, options=options)

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert [(e["line"], e["code"], e["param"]) for e in batch["errors"]] == [
        (2, "file_not_found", "file_id"),
        (3, "file_not_found", "file_id"),
    ]
    (job,) = await piles.yard.lines(batch_id)
    assert job["endpoint"] == "/v1/documents"
    assert await body_of(piles, job["id"]) == {"file_id": mine, **TASK}


async def test_what_is_appended_goes_the_same_way(piles: Piles) -> None:
    batch_id = await piles.create(jsonl([chat("a"), chat("b")]), open=True)
    await piles.expand()
    await piles.append(batch_id, b"\n" + jsonl([chat("c"), chat("d")]), number=1)
    await piles.append(batch_id, jsonl([chat("e"), chat("a")]), number=2)
    await piles.append(batch_id, jsonl([chat("e"), chat("f")]), number=3)

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"], batch["invalid"]) == (BatchState.IN_PROGRESS, 6, 1)
    assert [(e["line"], e["code"]) for e in batch["errors"]] == [
        (None, "addition_left_out"),
        (7, "duplicate_custom_id"),
    ]
    # What is not wrong itself is not passed over in silence.
    assert "addition of 2 lines was left out as a whole: 1 of" in batch["errors"][0]["message"]
    jobs = await piles.yard.lines(batch_id)
    # The third input was refused as a whole, so its names are free again; its lines were counted.
    assert [(job["line"], job["custom_id"]) for job in jobs] == [
        (1, "a"), (2, "b"), (4, "c"), (5, "d"), (8, "e"), (9, "f"),
    ]  # fmt: skip


async def test_names_are_known_to_the_next_leader(piles: Piles) -> None:
    batch_id = await piles.create(jsonl([chat("a")]), open=True, options={"on_invalid": "skip"})
    await piles.expand()
    for number, names in enumerate((("b", "a"), ("b", "c"), ("c", "d")), 1):
        await piles.append(batch_id, jsonl(map(chat, names)), number=number)
        await piles.expand()  # each time by somebody who knows nothing

    jobs = await piles.yard.lines(batch_id)
    assert [job["custom_id"] for job in jobs] == ["a", "b", "c", "d"]
    assert (await piles.yard.row(batch_id))["total"] == 4


async def test_an_empty_open_batch_waits(piles: Piles) -> None:
    batch_id = await piles.create(b"", open=True)

    await piles.expand()

    batch = await piles.yard.row(batch_id)
    assert (batch["state"], batch["total"], batch["errors"]) == (BatchState.IN_PROGRESS, 0, None)
