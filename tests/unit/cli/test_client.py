"""A client that is patient where that is safe, and takes no for an answer where it is one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from api.cli import client as client_module
from api.cli.client import Client, RefusedError
from api.cli.documents import Outcome, Task, process
from api.cli.errors import FAILED, MISUSED, CommandError

TASK = Task("Read it.", {"type": "object"}, "sandbox/reader")
NOW = "2026-01-01T00:00:00.000Z"
REPLAYED = {"Idempotent-Replayed": "true"}

Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAUSE_S", 0.001)


def job(status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "id": "job_1",
        "status": status,
        "status_reason": None,
        "created_at": NOW,
        "finished_at": NOW,
        "result": {"status_code": 200, "body": {"data": {"n": 1}}},
        "error": None,
        **more,
    }


def problem(status: int, code: str, *, param: str | None = None, **headers: str) -> httpx.Response:
    body = {"detail": f"It is {code}.", "code": code, "error": {"param": param}}
    return httpx.Response(status, json=body, headers=headers)


class Script:
    """Answers one request after the other, and remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.asked: list[httpx.Request] = []
        self._answers: Iterator[httpx.Response | Exception] = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(handler: Handler) -> Client:
    return Client("http://127.0.0.1:1", "pk_x", transport=httpx.MockTransport(handler))


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("a document")
    return path


async def test_a_submit_is_repeated_with_its_key(document: Path) -> None:
    script = Script(
        httpx.ConnectError("refused"),
        problem(503, "service_unavailable", **{"Retry-After": "0"}),
        problem(409, "in_progress", **{"Retry-After": "0"}),
        httpx.Response(202, json=job("queued")),
    )
    async with client(script) as using:
        submitted = await using.submit_document(document, {"model": "m"}, idempotency_key="k1")

    assert submitted.job["id"] == "job_1"
    assert not submitted.replayed
    assert [each.headers["Idempotency-Key"] for each in script.asked] == ["k1"] * 4
    assert all(b"a document" in each.content for each in script.asked[1:])


async def test_an_answer_that_will_not_change_stands(document: Path) -> None:
    script = Script(problem(409, "conflict"))
    async with client(script) as using:
        with pytest.raises(RefusedError, match="It is conflict"):
            await using.submit_document(document, {}, idempotency_key="k1")

    assert len(script.asked) == 1


async def test_what_may_not_be_repeated_is_not() -> None:
    script = Script(problem(503, "service_unavailable", **{"Retry-After": "0"}))
    async with client(script) as using:
        with pytest.raises(RefusedError) as raised:
            await using.call("POST", "/v1/keys")

    assert raised.value.status == 503
    assert len(script.asked) == 1


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_S", -1)
    async with client(Script(httpx.ConnectError("refused"))) as using:
        with pytest.raises(CommandError, match="penstock up"):
            await using.wait("job_1")


@pytest.mark.parametrize(
    ("status", "code"),
    [*((each, MISUSED) for each in (400, 401, 403, 404, 413, 422)), (409, FAILED), (500, FAILED)],
)
async def test_a_refusal_tells_whether_asking_again_could_help(status: int, code: int) -> None:
    async with client(Script(problem(status, "wrong"))) as using:
        with pytest.raises(RefusedError) as raised:
            await using.call("POST", "/v1/batches")

    assert raised.value.exit_code == code


async def test_it_waits_until_a_job_has_ended() -> None:
    states = ("queued", "running", "failed")
    script = Script(*(httpx.Response(200, json=job(each)) for each in states))
    async with client(script) as using:
        assert (await using.wait("job_1"))["status"] == "failed"

    assert [each.url.params["wait"] for each in script.asked] == ["30"] * 3


async def test_words_that_are_not_ours_are_told_as_such() -> None:
    async with client(Script(httpx.Response(502, text="<html>Bad gateway"))) as using:
        with pytest.raises(RefusedError, match="HTTP 502"):
            await using.call("GET", "/v1/jobs")


async def work(
    handler: Handler, files: list[Path], *, at_once: int = 2
) -> tuple[list[Outcome], list[str]]:
    told: list[str] = []
    async with client(handler) as using:
        outcomes = await process(
            using, files, TASK, at_once=at_once, on_done=lambda each: told.append(each.file.name)
        )
    return outcomes, told


def documents(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_text(f"this is {name}")
    return [folder / name for name in names]


async def test_one_refused_file_hurts_no_other(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=job())
        if b"this is large" in request.content:
            return problem(413, "file_too_large")
        if b"this is odd" in request.content:
            return problem(400, "invalid_field", param="file")
        return httpx.Response(202, json=job("queued"))

    outcomes, told = await work(answer, documents(tmp_path, "a", "large", "b", "odd", "c"))

    assert [each.status for each in outcomes] == [
        "completed",
        "refused",
        "completed",
        "refused",
        "completed",
    ]
    assert outcomes[1].error == {"code": "file_too_large", "message": "It is file_too_large."}
    assert sorted(told) == ["a", "b", "c", "large", "odd"]


@pytest.mark.parametrize(
    "refusal",
    [
        problem(404, "model_not_found", param="model"),
        problem(401, "invalid_api_key"),
        problem(400, "invalid_schema", param="schema"),
    ],
    ids=["model", "key", "schema"],
)
async def test_what_holds_for_all_files_ends_it(refusal: httpx.Response, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="It is"):
        await work(lambda _: refusal, documents(tmp_path, "a", "b", "c"))


async def test_what_failed_in_an_earlier_run_is_tried_again(document: Path) -> None:
    script = Script(
        httpx.Response(202, json=job("failed"), headers=REPLAYED),
        httpx.Response(200, json=job("failed")),
        httpx.Response(202, json=job("queued")),
        httpx.Response(200, json=job("completed")),
    )
    (outcome,), _ = await work(script, [document])

    assert outcome.ok
    assert outcome.data == {"n": 1}
    assert [(each.method, each.url.path) for each in script.asked] == [
        ("POST", "/v1/documents"),
        ("GET", "/v1/jobs/job_1"),
        ("POST", "/v1/jobs/job_1/retry"),
        ("GET", "/v1/jobs/job_1"),
    ]


async def test_what_succeeded_in_an_earlier_run_is_not(document: Path) -> None:
    script = Script(
        httpx.Response(200, json=job(), headers=REPLAYED), httpx.Response(200, json=job())
    )
    (outcome,), _ = await work(script, [document])

    assert outcome.ok
    assert len(script.asked) == 2


async def keys_of(path: Path, task: Task) -> str:
    script = Script(httpx.Response(202, json=job()), httpx.Response(200, json=job()))
    async with client(script) as using:
        await process(using, [path], task, at_once=1, on_done=lambda _: None)
    return str(script.asked[0].headers["Idempotency-Key"])


async def test_the_key_follows_the_content_and_the_task(tmp_path: Path) -> None:
    one, same, other = documents(tmp_path, "one", "same", "other")
    same.write_text(one.read_text())
    other_model = Task(TASK.instructions, TASK.schema, "sandbox/echo")

    key = await keys_of(one, TASK)

    assert await keys_of(same, TASK) == key
    assert await keys_of(other, TASK) != key
    assert await keys_of(one, other_model) != key


async def test_at_most_so_many_are_in_hand_at_once(tmp_path: Path) -> None:
    in_hand: set[bytes] = set()
    most = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal most
        if request.method == "POST":
            in_hand.add(request.content)
            most = max(most, len(in_hand))
            return httpx.Response(202, json=job("queued"))
        in_hand.pop()
        return httpx.Response(200, json=job())

    files = documents(tmp_path, *(f"file-{number}" for number in range(12)))
    outcomes, _ = await work(answer, files, at_once=3)

    assert [each.file for each in outcomes] == files
    assert most <= 3


async def test_a_file_that_vanishes_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"gone\.pdf cannot be read"):
        await work(lambda _: httpx.Response(500), [tmp_path / "gone.pdf"])


def test_a_line_is_json(document: Path) -> None:
    outcome = Outcome(document, "completed", {**job(), "attempts": []}, None)

    assert orjson.loads(orjson.dumps(outcome.line()))["data"] == {"n": 1}
