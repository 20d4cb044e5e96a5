"""Embeddings, models and webhook endpoints by the official SDK."""

import base64
import struct

import pytest

from tests.e2e.conftest import MODEL
from tests.e2e.sdk import Sdk, SdkError
from tests.fakes.receiver import Answer, Receiver
from tests.fakes.upstream_client import Upstream

pytestmark = pytest.mark.timeout(300)

TEXTS = ["rivers", "dams"]


def test_embeddings_in_every_encoding(sdk: Sdk, upstream: Upstream) -> None:
    asked = {"model": MODEL, "input": TEXTS}
    plain = sdk.do("embed", **asked)
    floats = sdk.do("embed", encoding_format="float", **asked)
    packed = sdk.do("embed", encoding_format="base64", **asked)

    vectors = [row["embedding"] for row in floats["data"]]
    assert [len(vector) for vector in vectors] == [8, 8]
    assert plain["usage"]["total_tokens"] > 0
    # The SDK asks for base64 unless told otherwise, and unpacks that.
    for vector, row in zip(vectors, plain["data"], strict=True):
        assert row["embedding"] == pytest.approx(vector, abs=1e-6)
    for vector, row in zip(vectors, packed["data"], strict=True):
        raw = base64.b64decode(row["embedding"])
        assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(vector, abs=1e-6)
    assert [row["index"] for row in plain["data"]] == [0, 1]


def test_embeddings_as_they_come_over_the_wire(sdk: Sdk, upstream: Upstream) -> None:
    asked = {"model": MODEL, "input": "rivers", "dimensions": 4}

    assert isinstance(sdk.do("embed_raw", **asked)["data"][0]["embedding"], str)
    assert len(sdk.do("embed_raw", encoding_format="float", **asked)["data"][0]["embedding"]) == 4


def test_models(sdk: Sdk) -> None:
    listed = {each["id"]: each for each in sdk.do("models")}

    assert listed[MODEL]["object"] == "model"
    assert listed[MODEL]["owned_by"]
    assert sdk.do("model", MODEL) == listed[MODEL]
    assert sdk.do("model", "sandbox/echo")["id"] == "sandbox/echo"


def test_webhook_endpoints(newest: Sdk) -> None:
    types = newest.do("event_types")["data"]
    assert {"job.completed", "job.failed"} <= set(types)

    with Receiver() as receiver:
        made = newest.do(
            "webhooks",
            "create",
            name="billing",
            url=receiver.url(),
            event_types=["job.completed"],
        )
        assert made["object"] == "webhook_endpoint"
        assert made["signing_secret"].startswith("whsec_")
        found = newest.do("webhooks", "retrieve", made["id"])
        assert found.get("signing_secret") is None
        assert made["signing_secret"].rstrip("=").endswith(found["signing_secret_hint"][-4:])

        changed = newest.do(
            "webhooks",
            "update",
            made["id"],
            name="books",
            url=receiver.url("/books"),
            event_types=["job.completed", "job.failed"],
        )
        assert (changed["name"], changed["url"]) == ("books", receiver.url("/books"))
        listed = newest.do("webhooks", "list", limit=1)
        assert made["id"] in [each["id"] for each in listed]

        rotated = newest.do("webhooks", "rotate_secret", made["id"])
        assert rotated["signing_secret"] != made["signing_secret"]

        good = newest.do("webhooks", "test", made["id"], event_type="job.completed")
        assert (good["object"], good["success"]) == ("webhook_endpoint.test", True)
        assert good["status_code"] == 200
        assert good["webhook_endpoint_id"] == made["id"]
        (received,) = receiver.received
        assert received.path == "/books"
        event = newest.do(
            "unwrap",
            received.body.decode(),
            dict(received.headers),
            rotated["signing_secret"],
        )
        assert event["type"] == "job.completed"

        receiver.script(Answer(503))
        bad = newest.do("webhooks", "test", made["id"], event_type="job.completed")
        assert bad["status_code"] == 503

    newest.do("webhooks", "delete", made["id"])
    with pytest.raises(SdkError, match="NotFoundError"):
        newest.do("webhooks", "retrieve", made["id"])
