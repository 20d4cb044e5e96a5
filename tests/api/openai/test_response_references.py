"""What a request for a response refers to: a few bytes that stand for much more."""

from typing import Any

import pytest

from tests.api.openai.test_responses import PATH, done, post
from tests.api.whole_app import WholeApp


@pytest.fixture
def small(app: WholeApp) -> WholeApp:
    """The application with a small limit for bodies."""
    app.settings.max_body_bytes = 20_000
    return app


def _said(identity: Any, text: str) -> dict[str, Any]:
    return {"type": "message", "id": identity, "role": "user", "content": text}


async def test_references_cannot_make_a_request_longer_than_one_may_be(small: WholeApp) -> None:
    large = _said("large", "x" * 5000)

    refused = await post(small, input=[large, *[{"id": "large"}] * 10])
    taken = await post(small, input=[large, {"id": "large"}])

    assert refused.status_code == 413
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == ("conversation_too_large", "input")
    assert taken.status_code == 200


async def test_nor_can_what_is_stored(small: WholeApp) -> None:
    first = await done(small, input="y" * 3000)
    item = first["output"][0]

    refused = await post(small, input=[{"id": item["id"]}] * 10)
    taken = await post(small, input=[{"id": item["id"]}, _said("a", "?")])

    assert (refused.status_code, taken.status_code) == (413, 200)


async def test_nor_can_a_conversation_grow_for_ever(small: WholeApp) -> None:
    reply = await post(small, input="z" * 6000)
    codes = []
    for _ in range(4):
        previous = reply.json()["id"]
        await small.work("job_" + previous.removeprefix("resp_"))
        reply = await post(small, input="z" * 6000, previous_response_id=previous)
        codes.append(reply.status_code)
        if reply.status_code != 200:
            break

    assert codes[-1] == 413


@pytest.mark.parametrize("identity", [["a"], {"a": 1}, 5, None, True])
async def test_an_id_that_is_no_text_is_none(app: WholeApp, identity: Any) -> None:
    reply = await app.client.post(
        PATH,
        json={"model": "sandbox/echo", "input": [_said(identity, "x"), {"id": "other"}]},
    )

    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "item_not_found")
