"""A service whose blobs are in a bucket: uploads, documents, batches, large results, deletion, the doctor."""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.e2e.service import Up, penstock
from tests.fakes.s3 import S3Double
from tests.integration.cli.processes import command

pytestmark = pytest.mark.timeout(240)
MIB = 1024 * 1024
LARGE = 64 * MIB
INLINE = 1024
CEILING_KB = 40 * 1024
"""What the API may grow by for a file of 64 MiB: a few parts of 5 MiB, never the file."""
BLOCK = b"".join(b'{"line": %06d, "text": "%s"}\n' % (n, b"x" * 470) for n in range(2048))


@pytest.fixture(scope="module")
def up(s3: S3Double, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`penstock up` with a bucket."""
    environment = s3.environment(s3.make_bucket("penstock-e2e"), "deep/prefix")
    environment["PENSTOCK_INLINE_BYTES"] = str(INLINE)
    running = Up(tmp_path_factory.mktemp("bucket"), **environment)
    try:
        running.await_ready()
        yield running
    finally:
        running.clean_up()


@pytest.fixture(scope="module")
def http(up: Up) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {up.key}"}
    with httpx.Client(base_url=up.url, headers=headers, timeout=120, trust_env=False) as client:
        yield client


def api_pid(up: Up) -> int:
    return next(pid for pid in up.processes() if "api.main:app" in command(pid))


def memory_kb(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def upload(http: httpx.Client, blocks: int) -> dict[str, Any]:
    """Upload so many blocks as they are made."""
    head = (
        b'--cut\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--cut\r\n'
        b'Content-Disposition: form-data; name="file"; filename="l.jsonl"\r\n\r\n'
    )
    tail = b"\r\n--cut--\r\n"

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(blocks):
            yield BLOCK
        yield tail

    headers = {
        "Content-Type": "multipart/form-data; boundary=cut",
        "Content-Length": str(len(head) + blocks * len(BLOCK) + len(tail)),
    }
    answer = http.post("/v1/files", content=body(), headers=headers).raise_for_status()
    return dict(answer.json())


def test_a_large_file_goes_through_without_being_held(up: Up, http: httpx.Client) -> None:
    blocks = LARGE // len(BLOCK) + 1
    http.get(f"/v1/files/{upload(http, 1)['id']}/content").raise_for_status()
    pid = api_pid(up)
    before = memory_kb(pid, "VmRSS")
    Path(f"/proc/{pid}/clear_refs").write_text("5")

    file = upload(http, blocks)
    got, size = sha256(), 0
    with http.stream("GET", f"/v1/files/{file['id']}/content") as answer:
        for piece in answer.raise_for_status().iter_raw():
            got.update(piece)
            size += len(piece)

    whole = sha256()
    for _ in range(blocks):
        whole.update(BLOCK)
    assert (file["bytes"], size) == (blocks * len(BLOCK), blocks * len(BLOCK))
    assert got.digest() == whole.digest()
    assert memory_kb(pid, "VmHWM") - before < CEILING_KB


def test_large_requests_and_results_and_documents_are_found_there(
    up: Up, http: httpx.Client
) -> None:
    said = "word " * 1_000
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": said}]}
    job = {"endpoint": "/v1/chat/completions", "body": body}
    done = http.post("/v1/jobs", json=job, headers={"Prefer": "wait=50"}).json()
    assert done["status"] == "completed"
    result = http.get(f"/v1/jobs/{done['id']}/result").raise_for_status()
    assert len(result.content) > INLINE

    form = {"instructions": "Read.", "schema": '{"type": "object"}', "model": "sandbox/reader"}
    files = {"file": ("a.txt", b"Invoice 7, total 12.50 EUR", "text/plain")}
    read = http.post("/v1/documents", data=form, files=files, headers={"Prefer": "wait=50"}).json()
    assert read["status"] == "completed", read

    assert http.delete(f"/v1/jobs/{done['id']}").is_success
    assert http.get(f"/v1/jobs/{done['id']}/result").status_code == 410
    assert not [each for each in (up.data / "blobs").rglob("*") if each.is_file()]


def test_a_batch_runs_from_its_file_to_its_output_and_is_purged(http: httpx.Client) -> None:
    def line(number: int) -> bytes:
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": str(number)}]}
        request = {"custom_id": f"c-{number}", "method": "POST", "url": "/v1/chat/completions"}
        return orjson.dumps({**request, "body": body})

    files = {"file": ("in.jsonl", b"\n".join(line(number) for number in range(50)))}
    source = http.post("/v1/files", data={"purpose": "batch"}, files=files).json()
    asked = {
        "input_file_id": source["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    batch = http.post("/v1/batches", json=asked).raise_for_status().json()
    deadline = time.monotonic() + 90
    while batch["status"] != "completed":
        assert time.monotonic() < deadline, batch
        time.sleep(0.2)
        batch = http.get(f"/v1/batches/{batch['id']}").json()

    output = http.get(f"/v1/files/{batch['output_file_id']}/content").raise_for_status().content
    assert {orjson.loads(row)["custom_id"] for row in output.splitlines()} == {
        f"c-{number}" for number in range(50)
    }

    assert http.delete(f"/v1/batches/{batch['id']}").is_success
    assert http.get(f"/v1/batches/{batch['id']}/results").status_code == 410
    assert http.get(f"/v1/files/{batch['output_file_id']}/content").status_code == 404


def test_the_doctor_says_whether_the_bucket_takes_anything(s3: S3Double, tmp_path: Path) -> None:
    there = penstock("doctor", folder=tmp_path, **s3.environment(s3.make_bucket()))
    missing = penstock("doctor", folder=tmp_path, **s3.environment("nobody-made-this"))

    assert "written, read and removed a blob" in there.stdout
    assert "s3://nobody-made-this/ does not work" in missing.stdout
    assert missing.returncode == 1
