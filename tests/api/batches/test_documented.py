"""Real answers about batches, held against `/openapi.json`."""

import httpx
import orjson

from api.openapi_operations import ALL
from shared.clock import now_ms
from tests.api.batches.clerk import SCHEMA, Clerk, jsonl, line, packed
from tests.api.documented import Checked

STREAMED = "/v1/batches/{batch_id}/events"


async def test_answers_about_batches_are_as_documented(clerk: Clerk) -> None:
    transport = Checked(clerk.client._transport)
    headers = {"Authorization": clerk.client.headers["authorization"]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://penstock", headers=headers
    ) as client:
        clerk.client = client
        file_id = await clerk.upload(jsonl([line("one")]))
        hook = {"url": "https://example.com/hook"}
        made = await clerk.create(input_file_id=file_id, endpoint="/v1/chat/completions")
        opened = (await clerk.create(requests=[line("one")], open=True, webhook=hook))["id"]
        fields = {"model": "sandbox/extract", "schema": orjson.dumps(SCHEMA).decode()}
        await clerk.form(packed({"a.txt": b"1"}), "a.zip", **fields)
        await clerk.form(packed({"a.txt": b"1"}), "a.zip", **fields, dry_run="true")
        await clerk.post(requests=[line("one"), {}], dry_run=True)
        await clerk.post(requests=[{}])
        await clerk.post(input_file_id="file-none")
        await clerk.post("key-1", requests=[line("one")])
        await clerk.post("key-1", requests=[line("two")])
        await client.get("/v1/batches", params={"limit": 1, "status": "validating"})
        await client.get("/v1/batches", params={"limit": 0})
        await client.get("/v1/batches/batch_none")
        await clerk.act(opened, "requests", requests=[line("two")])
        for what in ("pause", "resume", "close", "retry", "requests"):
            more = {"requests": [line("three")]} if what == "requests" else {}
            await clerk.act(opened, what, **more)
        await client.post(f"/v1/batches/{opened}/events/token")
        await client.delete(f"/v1/batches/{opened}")
        await clerk.act(opened, "cancel")
        batch_id = made["id"]
        errors = [{"code": "invalid_json_line", "line": None, "message": "m", "param": None}]
        usage = {"input_tokens": 1, "output_tokens": 2, "cost_nanousd": 3}
        await clerk.change(
            batch_id, state="completed", finished_at=now_ms(), failed=1, errors=errors, **usage
        )
        await client.get(f"/v1/batches/{batch_id}")
        await client.get(f"/v1/batches/{batch_id}/results", params={"limit": 5})
        await client.get(f"/v1/batches/{batch_id}/results", params={"after": "x"})
        for what in ("cancel", "pause", "retry"):
            await clerk.act(batch_id, what)
        await clerk.change(batch_id, state="completed", finished_at=now_ms())
        await client.delete(f"/v1/batches/{batch_id}")
        await client.get(f"/v1/batches/{batch_id}/results")

    of_batches = {(each.method, each.path) for each in ALL if each.tag == "batches"}
    seen = {(method, path) for method, path, _ in transport.seen}
    assert seen >= of_batches - {("GET", STREAMED)}
    assert {status for _, _, status in transport.seen} >= {200, 202, 400, 404, 409, 410, 422}
