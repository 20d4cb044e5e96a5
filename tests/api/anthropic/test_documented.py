"""Anthropic's clients are answered as `/openapi.json` says."""

import asyncio

import httpx

from tests.api.anthropic.messages import ANSWER, ASKED, PATH
from tests.api.documented import Checked
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp

BATCHES = f"{PATH}/batches"
COUNT = f"{PATH}/count_tokens"


async def test_answers_are_as_documented(app: WholeApp, hand: Hand) -> None:
    transport = Checked(app.client._transport)
    headers = {"x-api-key": app.client.headers["authorization"].removeprefix("Bearer ")}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://penstock", headers=headers
    ) as client:
        for path, answer in ((PATH, ANSWER), (COUNT, b'{"input_tokens":1}')):
            now = asyncio.create_task(client.post(path, json=ASKED))
            await hand.end(await hand.claim(), answer=answer)
            assert (await now).status_code == 200
            await client.post(path, json=ASKED, headers={"Prefer": "respond-async"})
            await hand.job()
            await client.post(path, json={})
            await client.post(path, json={**ASKED, "model": "nobody"})
        requests = [{"custom_id": "one", "params": ASKED}]
        made = (await client.post(BATCHES, json={"requests": requests})).json()["id"]
        await client.post(BATCHES, json={"requests": requests * 2})
        await client.get(BATCHES, params={"limit": 1})
        await client.get(BATCHES, params={"limit": 0})
        for shown in (made, "msgbatch_none"):
            one = f"{BATCHES}/{shown}"
            await client.get(one)
            await client.get(f"{one}/results")
            await client.delete(one)
            await client.post(f"{one}/cancel")

    of_one = f"{BATCHES}/{{message_batch_id}}"
    assert {path for _, path, _ in transport.seen} == {
        PATH,
        COUNT,
        BATCHES,
        of_one,
        f"{of_one}/results",
        f"{of_one}/cancel",
    }
    assert {status for _, _, status in transport.seen} == {200, 202, 400, 404, 409}
