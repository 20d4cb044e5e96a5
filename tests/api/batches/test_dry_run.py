"""A dry run: counts, tokens, price and time, and nothing is stored."""

import asyncio
from time import perf_counter
from typing import Any

import pytest

from api.batches import checking
from shared.batches.model import Batch
from tests.api.batches.clerk import TASK, Clerk, jsonl, line, packed

PRICED = {"model": "priced", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}


async def tried(clerk: Clerk, **asked: Any) -> dict[str, Any]:
    reply = await clerk.post(**asked, dry_run=True)
    assert reply.status_code == 200, reply.text
    assert await clerk.nothing_stored()
    answer: dict[str, Any] = reply.json()
    return answer


@pytest.mark.parametrize("by_file", [True, False])
async def test_counts_tokens_and_price(clerk: Clerk, *, by_file: bool) -> None:
    lines = [line(str(number), body=PRICED) for number in range(10)]
    given: dict[str, Any] = {"requests": lines}
    if by_file:
        given = {"input_file_id": await clerk.upload(jsonl(lines))}

    answer = await tried(clerk, **given)

    tokens = answer["estimated_tokens"]
    assert (answer["object"], answer["valid"], answer["errors"]) == ("batch.dry_run", True, [])
    assert (answer["total"], answer["invalid"]) == (10, 0)
    assert answer["models"] == {"priced": 10}
    assert tokens["output"] == 1000
    assert 100 < tokens["input"] < 200
    # A dollar for a million tokens of input, two for output.
    least, most = (float(answer["estimated_cost_usd"][name]) for name in ("min", "max"))
    assert least == pytest.approx(tokens["input"] / 1e6)
    assert most == pytest.approx((tokens["input"] + 2 * 1000) / 1e6)
    assert answer["eta_s"] is None


async def test_what_is_wrong_is_told_by_line(clerk: Clerk) -> None:
    content = jsonl([line("one")]) + b"\n{\n" + jsonl([line("one"), line("two")])
    file_id = await clerk.upload(content)

    answer = await tried(clerk, input_file_id=file_id)
    skipped = await tried(clerk, input_file_id=file_id, on_invalid="skip")

    assert (answer["valid"], answer["total"], answer["invalid"]) == (False, 4, 2)
    assert [(each["line"], each["code"]) for each in answer["errors"]] == [
        (3, "invalid_json_line"),
        (4, "duplicate_custom_id"),
    ]
    assert (skipped["valid"], skipped["models"]) == (True, {"sandbox/echo": 2})


async def test_only_the_first_errors_are_listed(clerk: Clerk) -> None:
    answer = await tried(clerk, input_file_id=await clerk.upload(b"{}\n" * 500))

    assert (answer["total"], answer["invalid"], answer["valid"]) == (500, 500, False)
    assert len(answer["errors"]) == checking.MOST_ERRORS


async def test_nothing_at_all_is_no_batch(clerk: Clerk) -> None:
    answer = await tried(clerk, input_file_id=await clerk.upload(b""))
    reply = await clerk.post(open=True, dry_run=True)

    assert (answer["valid"], answer["total"]) == (False, 0)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "dry_run")


async def test_one_unknown_price_makes_the_whole_unknown(clerk: Clerk) -> None:
    lines = [line("one", body=PRICED), line("two", body={**PRICED, "model": "unpriced"})]

    answer = await tried(clerk, requests=lines)

    assert answer["models"] == {"priced": 1, "unpriced": 1}
    assert (answer["estimated_cost_usd"], answer["estimated_tokens"]["output"]) == (None, 200)


async def test_documents_are_only_counted(clerk: Clerk) -> None:
    file_id = await clerk.upload(b"Total: 1", name="one.txt", purpose="user_data")
    archive = packed({"a.txt": b"1", "b/c.txt": b"2", ".hidden": b"3"})
    zip_id = await clerk.upload(archive, name="all.zip", purpose="user_data")
    document = {"model": "sandbox/extract", "schema": TASK["schema"], "file_id": file_id}
    as_line = line("one", url="/v1/documents", body=document)

    for given, total in (
        ({"files": [file_id], **TASK}, 1),
        ({"archive": zip_id, **TASK}, 2),
        ({"requests": [as_line]}, 1),
    ):
        answer = await tried(clerk, **given)
        assert (answer["valid"], answer["total"]) == (True, total)
        assert answer["models"] == {"sandbox/extract": total}
        assert (answer["estimated_tokens"], answer["estimated_cost_usd"]) == (None, None)


@pytest.mark.parametrize("name", ["a.zip", "a.jsonl"])
async def test_a_form_leaves_nothing_behind(clerk: Clerk, name: str) -> None:
    task = {"model": "sandbox/extract", "schema": '{"type": "object"}'}
    is_zip = name.endswith(".zip")
    content = packed({"a.txt": b"1"}) if is_zip else jsonl([line("one")])

    reply = await clerk.form(content, name, dry_run="true", **(task if is_zip else {}))

    assert (reply.json()["valid"], reply.json()["total"]) == (True, 1)
    assert await clerk.rows(Batch) == []
    assert clerk.blobs() == []


async def test_what_is_no_archive(clerk: Clerk) -> None:
    file_id = await clerk.upload(b"no zip at all", name="all.zip", purpose="user_data")

    answer = await tried(clerk, archive=file_id, **TASK)

    assert (answer["valid"], answer["total"]) == (False, 0)
    assert [each["code"] for each in answer["errors"]] == ["invalid_archive"]


async def test_the_time_follows_the_limits(clerk: Clerk) -> None:
    paced = {**PRICED, "model": "paced"}

    answer = await tried(clerk, requests=[line(str(number), body=paced) for number in range(10)])

    # Four of them a second are allowed.
    assert answer["eta_s"] == 2.5


async def test_others_are_served_meanwhile(clerk: Clerk) -> None:
    file_id = await clerk.upload(jsonl(line(str(number)) for number in range(10_000)))
    trying = asyncio.create_task(clerk.post(input_file_id=file_id, dry_run=True))
    turns = []
    while not trying.done():
        began = perf_counter()
        await asyncio.sleep(0)
        turns.append(perf_counter() - began)

    assert (await trying).json()["total"] == 10_000
    # A turn is a hundredth of a second; the machine of a test may be busy with others.
    assert len(turns) > 20
    assert sorted(turns)[len(turns) * 9 // 10] < 0.1
