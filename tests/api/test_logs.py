"""The logs of the API and of a worker: one JSON object a line, with ids, without prompts or keys."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import structlog
from sqlalchemy import text

from shared.telemetry import logs
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app
from workers.attempt import run

PROMPT = "canary-prompt-4711"
SECRET = "canary-secret-4711"


class Lines:
    """What the root handler wrote."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter([orjson.loads(line) for line in self.stream.getvalue().splitlines()])

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self if line["event"] == event]


@pytest.fixture
async def app(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    async with whole_app(
        tmp_path, database_url=database_url, redis_url=redis_url, log_level="debug"
    ) as app:
        yield app


@pytest.fixture
def lines(app: WholeApp) -> Lines:
    """Collect all that is logged once the application is there, at the level of debugging."""
    found = Lines()
    logs.configure("debug", "json", found.stream)
    return found


async def work(app: WholeApp, *ids: str) -> None:
    # A worker is another process: nothing of a request is bound there.
    structlog.contextvars.clear_contextvars()
    await app.work(*ids)


async def test_a_job_is_followed_by_its_ids(app: WholeApp, lines: Lines) -> None:
    job_id = await app.submit("hello")
    await work(app, job_id)
    await app.client.get(f"/v1/jobs/{job_id}")
    stored, read = lines.of("http.request")
    for line in (stored, read):
        assert line["job_id"] == job_id
        assert line["tenant_id"] == app.tenant_id
        assert line["request_id"].startswith("req_")
        assert line["level"] == "info"
        assert line["timestamp"].endswith("Z")
    assert (stored["method"], stored["path"], stored["status"]) == ("POST", "/v1/jobs", 202)
    assert read["path"] == "/v1/jobs/{job_id}"
    (left,) = lines.of("job.left")
    assert (left["job_id"], left["tenant_id"]) == (job_id, app.tenant_id)
    assert (left["state"], left["calls"], left["kept"]) == ("completed", 1, True)
    # What one job bound is not bound to what the worker says next of itself.
    (draining,) = lines.of("runner.draining")
    assert "job_id" not in draining


async def test_jobs_side_by_side_keep_their_ids_apart(app: WholeApp, lines: Lines) -> None:
    ids = {await app.submit(f"hello {number}") for number in range(5)}
    await work(app, *ids)
    assert {line["job_id"] for line in lines.of("job.left")} == ids


async def test_prompts_and_keys_stay_out(app: WholeApp, lines: Lines) -> None:
    upload = {"file": (f"{PROMPT}.txt", f"Total: 12.50 {PROMPT}".encode())}
    form = {"model": "sandbox/extract", "schema": '{"type": "object"}', "instructions": PROMPT}
    document = await app.client.post("/v1/documents", data=form, files=upload)
    ids = [
        await app.submit(PROMPT, metadata={"note": PROMPT}, custom_id=PROMPT),
        await app.submit(PROMPT, model="sandbox/reject-400"),
        await app.submit(PROMPT, model="sandbox/error-503"),
        await app.submit(PROMPT * 5000),
        document.json()["id"],
    ]
    await app.client.post("/v1/jobs", content=f'{{"broken": "{PROMPT}'.encode())
    await app.client.post("/v1/jobs", json={"endpoint": PROMPT, "body": {"x": PROMPT}})
    await app.client_of(SECRET * 3).get("/v1/jobs")
    made = await app.client.post("/v1/keys", json={"name": "one", "role": "viewer"})
    await app.client_of(made.json()["key"]).get(f"/v1/jobs/{ids[0]}", params={"wait": PROMPT})
    await work(app, *ids)
    assert len(lines.of("http.request")) == 10
    assert len(lines.of("job.left")) == 5
    written = lines.stream.getvalue()
    for secret in (PROMPT, SECRET, ADMIN_KEY, made.json()["key"], "Total: 12.50"):
        assert secret not in written


async def test_a_statement_that_fails_shows_no_parameters(app: WholeApp, lines: Lines) -> None:
    async with app.resources.database.transaction() as db:
        await db.execute(text("DROP TABLE job_request"))
    body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": PROMPT}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body}
    reply = await app.client.post("/v1/jobs", json=asked)
    assert reply.status_code >= 500
    assert PROMPT not in reply.text
    written = lines.stream.getvalue()
    assert "job_request" in written
    assert PROMPT not in written


async def test_a_crash_of_ours_is_logged_whole_and_on_one_line(
    app: WholeApp, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        prompt = PROMPT
        raise ZeroDivisionError(len(prompt))

    monkeypatch.setattr(run, "prepare", broken)
    job_id = await app.submit(PROMPT)
    await work(app, job_id)
    (crash,) = lines.of("attempt.crashed")
    assert crash["job_id"] == job_id
    assert "ZeroDivisionError" in crash["exception"]
    assert "in broken" in crash["exception"]
    assert PROMPT not in lines.stream.getvalue()


def test_lines_of_other_libraries_are_json_too(lines: Lines) -> None:
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler())
    logs.configure("info", "json", lines.stream)
    server.info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.access").info("GET /v1/jobs?key=%s", SECRET)
    try:
        int("no")
    except ValueError:
        logging.getLogger("somebody").exception("stumbled")
    started, stumbled = list(lines)
    assert started["event"] == "Started server process [7]"
    assert started["level"] == "info"
    assert stumbled["exception"].splitlines()[-1].startswith("ValueError: invalid literal")
