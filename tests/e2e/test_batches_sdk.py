"""OpenAI's batches and files by the official SDKs, in Python and in JavaScript, unchanged."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from tests.e2e.conftest import MODEL
from tests.e2e.sdk import EVERY_SDK, Sdk, SdkError
from tests.e2e.service import Up
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.timeout(300)

CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"
ENDED = {"completed", "failed", "expired", "cancelled"}
STATES = {"validating", "in_progress", "finalizing", "cancelling", *ENDED}
MONTH_S = 30 * 86_400
ODD = "line\u2028 separators, 鴨川 and 🌊"
WITHIN_S = 60


@pytest.fixture(scope="module", params=EVERY_SDK)
def sdk(request: pytest.FixtureRequest, service: Up) -> Iterator[Sdk]:
    """Each SDK, one after the other."""
    with Sdk(request.param, url=service.url, key=service.key) as running:
        assert running.do("version").startswith(EVERY_SDK[request.param])
        yield running


def chat_line(custom_id: str, text: str, **more: object) -> dict[str, Any]:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def upload(sdk: Sdk, lines: list[Any], **asked: object) -> dict[str, Any]:
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    asked = {"filename": "requests.jsonl", "purpose": "batch", **asked}
    file: dict[str, Any] = sdk.do("upload", content="\n".join(rows) + "\n", **asked)
    return file


def begin(sdk: Sdk, lines: list[Any], **asked: object) -> dict[str, Any]:
    file_id = upload(sdk, lines)["id"]
    asked = {"endpoint": CHAT, "completion_window": "24h", **asked}
    batch: dict[str, Any] = sdk.do("create_batch", input_file_id=file_id, **asked)
    assert (batch["object"], batch["input_file_id"]) == ("batch", file_id)
    return batch


def poll(sdk: Sdk, batch: dict[str, Any]) -> dict[str, Any]:
    """Ask as every client of batches does, until it has ended."""
    deadline = time.monotonic() + WITHIN_S
    while batch["status"] not in ENDED:
        assert time.monotonic() < deadline, batch
        assert batch["status"] in STATES
        time.sleep(0.1)
        batch = sdk.do("batch", batch["id"])
    return batch


def lines_of(sdk: Sdk, file_id: str | None) -> dict[str, dict[str, Any]]:
    """Read a file's lines by their custom ids, splitting it wherever Unicode would."""
    if not file_id:
        return {}
    text = sdk.do("content", file_id)
    assert text.isascii()
    lines = [json.loads(line) for line in text.splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    assert all(set(line) == {"id", "custom_id", "response", "error"} for line in lines)
    return found


def counts(batch: dict[str, Any]) -> tuple[int, int, int]:
    said = batch["request_counts"]
    return said["total"], said["completed"], said["failed"]


def said_in(line: dict[str, Any]) -> Any:
    return line["response"]["body"]["choices"][0]["message"]["content"]


def test_from_the_upload_to_the_output(sdk: Sdk, upstream: Upstream) -> None:
    texts = {f"ask-{number}": f"{sdk.name} river {number} {ODD}" for number in range(9)}
    begun = begin(
        sdk,
        [chat_line(custom_id, text) for custom_id, text in texts.items()],
        metadata={"book": "rivers"},
        output_expires_after={"anchor": "created_at", "seconds": 7200},
    )
    assert begun["status"] == "validating"
    assert counts(begun) == (0, 0, 0)
    assert begun["expires_at"] - begun["created_at"] == 86_400

    batch = poll(sdk, begun)

    assert batch["status"] == "completed"
    assert counts(batch) == (9, 9, 0)
    assert (batch["endpoint"], batch["completion_window"]) == (CHAT, "24h")
    assert batch["metadata"] == {"book": "rivers"}
    assert batch["errors"] is None
    assert batch["error_file_id"] is None
    moments = [
        batch[f"{name}_at"] for name in ("created", "in_progress", "finalizing", "completed")
    ]
    assert moments == sorted(moments)
    assert all(batch[f"{name}_at"] is None for name in ("failed", "expired", "cancelled"))
    output = sdk.do("file", batch["output_file_id"])
    assert (output["purpose"], output["status"]) == ("batch_output", "processed")
    assert output["expires_at"] - output["created_at"] == 7200
    found = lines_of(sdk, output["id"])
    assert {name: said_in(line) for name, line in found.items()} == {
        name: f"echo: {text}" for name, text in texts.items()
    }
    for line in found.values():
        assert line["id"].startswith("batch_req_")
        assert (line["response"]["status_code"], line["error"]) == (200, None)
        assert line["response"]["request_id"]
    assert len(upstream.calls(marker=f"{sdk.name} river")) == 9
    with pytest.raises(SdkError, match="ConflictError"):
        sdk.do("cancel_batch", batch["id"])


def test_vectors_in_a_batch(sdk: Sdk, upstream: Upstream) -> None:
    body = {"model": MODEL, "input": ["rivers", "dams"]}
    line = {"custom_id": "one", "method": "POST", "url": EMBEDDINGS, "body": body}

    batch = poll(sdk, begin(sdk, [line], endpoint=EMBEDDINGS))

    assert batch["status"] == "completed"
    (found,) = lines_of(sdk, batch["output_file_id"]).values()
    vectors = [row["embedding"] for row in found["response"]["body"]["data"]]
    assert [len(vector) for vector in vectors] == [8, 8]


def test_lines_that_fail_are_read_by_three_clients(sdk: Sdk, upstream: Upstream) -> None:
    refusal = {"error": {"message": "No rivers here.", "type": "invalid_request_error"}}
    upstream.script(rule("status", status=400, marker=f"{sdk.name} bad", body=refusal))
    names = [f"good {number}" for number in range(3)] + [f"bad {number}" for number in range(2)]

    batch = poll(sdk, begin(sdk, [chat_line(name, f"{sdk.name} {name}") for name in names]))

    assert (batch["status"], counts(batch)) == ("completed", (5, 3, 2))
    output = lines_of(sdk, batch["output_file_id"])
    errors = lines_of(sdk, batch["error_file_id"])
    assert sorted((*output, *errors)) == sorted(names)
    assert sdk.do("file", batch["error_file_id"])["purpose"] == "batch_output"
    assert as_instructor_reads(batch, output) == dict.fromkeys(names[:3], True)
    assert as_curator_reads(output) == dict.fromkeys(names[:3], 200)
    assert as_curator_reads(errors) == dict.fromkeys(names[3:], 400)
    assert as_inspect_reads({**output, **errors}) == {
        **{name: f"echo: {sdk.name} {name}" for name in names[:3]},
        **dict.fromkeys(names[3:], 400),
    }
    for line in errors.values():
        assert line["response"]["body"]["error"]["message"]


def as_instructor_reads(batch: dict[str, Any], output: dict[str, Any]) -> dict[str, bool]:
    """It wants an output file of what completed, and takes each line for a completion."""
    assert (batch["status"], batch["output_file_id"] is None) == ("completed", False)
    assert not (batch["request_counts"]["failed"] and not batch["request_counts"]["completed"])
    return {name: bool(said_in(line)) for name, line in output.items()}


def as_curator_reads(lines: dict[str, Any]) -> dict[str, int]:
    """It looks up the HTTP status of every line."""
    return {name: line["response"]["status_code"] for name, line in lines.items()}


def as_inspect_reads(lines: dict[str, Any]) -> dict[str, Any]:
    """It reads both files; what has no `error`, which it takes for an HTTP status, is a completion.

    Of what the contract calls a failure it makes a whole file that cannot be read: there is no
    line of it that could please it and be one of OpenAI's.
    """
    found: dict[str, Any] = {}
    for name, line in lines.items():
        assert line["error"] is None
        if line["response"]["status_code"] >= 400:
            found[name] = line["response"]["status_code"]
        else:
            completion = ChatCompletion.model_validate(line["response"]["body"])
            found[name] = completion.choices[0].message.content
    return found


def test_without_a_success_there_is_no_output(sdk: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("status", status=400, marker=f"{sdk.name} none"))

    batch = poll(sdk, begin(sdk, [chat_line("only", f"{sdk.name} none")]))

    assert (batch["status"], batch["output_file_id"]) == ("completed", None)
    assert list(lines_of(sdk, batch["error_file_id"])) == ["only"]


def test_a_file_that_cannot_be_done_is_refused_line_by_line(sdk: Sdk, upstream: Upstream) -> None:
    lines = [
        chat_line("one", f"{sdk.name} never"),
        '{"custom_id": "two", ',
        chat_line("one", f"{sdk.name} never"),
        {**chat_line("four", f"{sdk.name} never"), "url": EMBEDDINGS},
        chat_line("five", f"{sdk.name} never", model="gpt-nobody"),
    ]

    batch = poll(sdk, begin(sdk, lines))

    assert batch["status"] == "failed"
    assert batch["failed_at"] >= batch["created_at"]
    assert batch["errors"]["object"] == "list"
    found = {each["line"]: each for each in batch["errors"]["data"]}
    assert {line: each["code"] for line, each in found.items()} == {
        2: "invalid_json_line",
        3: "duplicate_custom_id",
        4: "mismatched_endpoint",
        5: "model_not_found",
    }
    assert all(each["message"] for each in found.values())
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)
    assert upstream.calls(marker=f"{sdk.name} never") == []


def test_cancelling_keeps_what_is_done(sdk: Sdk, upstream: Upstream) -> None:
    upstream.script(rule("gate", marker=f"{sdk.name} slow"))
    names = [f"quick {number}" for number in range(3)] + [f"slow {number}" for number in range(3)]
    batch = begin(sdk, [chat_line(name, f"{sdk.name} {name}") for name in names])
    deadline = time.monotonic() + WITHIN_S
    while counts(batch)[1] < 3:
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
        batch = sdk.do("batch", batch["id"])
    assert batch["status"] == "in_progress"

    cancelled = sdk.do("cancel_batch", batch["id"])
    assert cancelled["status"] in {"cancelling", "cancelled"}
    batch = poll(sdk, cancelled)

    assert batch["status"] == "cancelled"
    assert batch["created_at"] <= batch["cancelling_at"] <= batch["cancelled_at"]
    assert counts(batch) == (6, 3, 3)
    assert sorted(lines_of(sdk, batch["output_file_id"])) == names[:3]
    errors = lines_of(sdk, batch["error_file_id"])
    assert sorted(errors) == names[3:]
    assert all(line["error"]["code"] == "batch_cancelled" for line in errors.values())
    # Whoever asks twice has what was asked for.
    assert sdk.do("cancel_batch", batch["id"])["status"] == "cancelled"


def test_batches_are_listed_page_by_page(sdk: Sdk, upstream: Upstream) -> None:
    begun = [begin(sdk, [chat_line("one", f"{sdk.name} list {n}")])["id"] for n in range(3)]

    listed = [each["id"] for each in sdk.do("batches", limit=2)]

    assert listed[:3] == begun[::-1]
    assert len(set(listed)) == len(listed)
    for batch_id in begun:
        poll(sdk, sdk.do("batch", batch_id))
    with pytest.raises(SdkError, match="NotFoundError"):
        sdk.do("batch", "batch_nobody")


def test_files_expire_and_are_listed_and_deleted(sdk: Sdk) -> None:
    line = chat_line("one", "never asked")
    usual = upload(sdk, [line])
    nameless = upload(sdk, [line], filename=None)
    soon = upload(sdk, [line], expires_after={"anchor": "created_at", "seconds": 3600})
    mine = [soon["id"], nameless["id"], usual["id"]]
    assert usual["expires_at"] - usual["created_at"] == MONTH_S
    assert soon["expires_at"] - soon["created_at"] == 3600
    assert (usual["filename"], usual["purpose"]) == ("requests.jsonl", "batch")
    assert sdk.do("content", usual["id"]) == json.dumps(line) + "\n"

    listed = [each["id"] for each in sdk.do("files", purpose="batch", limit=2)]
    rising = [each["id"] for each in sdk.do("files", purpose="batch", limit=2, order="asc")]

    assert listed[:3] == mine
    assert rising == listed[::-1]
    for file_id in mine:
        deleted = sdk.do("delete_file", file_id)
        assert (deleted["id"], deleted["deleted"]) == (file_id, True)
        with pytest.raises(SdkError, match="NotFoundError"):
            sdk.do("file", file_id)
    assert not {each["id"] for each in sdk.do("files", purpose="batch")} & set(mine)


def test_what_is_no_batch_is_refused_at_once(sdk: Sdk) -> None:
    with pytest.raises(SdkError, match=r"NotFoundError|BadRequestError") as raised:
        sdk.do("create_batch", input_file_id="file-nobody", endpoint=CHAT, completion_window="24h")

    assert raised.value.code == "file_not_found"
