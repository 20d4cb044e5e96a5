"""`POST /v1/embeddings`."""

from tests.api.openai.direct import answered
from tests.api.openai.hand import Hand
from tests.api.whole_app import WholeApp


async def test_embeddings_come_in_the_encoding_that_was_asked_for(
    app: WholeApp, hand: Hand
) -> None:
    vectors = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}]}'
    asked = {"model": "sandbox/e", "input": ["a"]}

    plain = await answered(app, hand, vectors, asked, "/v1/embeddings")
    packed = {**asked, "encoding_format": "base64"}
    encoded = await answered(app, hand, vectors, packed, "/openai/v1/embeddings")

    assert plain.content == vectors
    assert encoded.json()["data"][0]["embedding"] == "AAAAPw=="
