"""A page in a browser follows a job by `EventSource`, loses the network in mid-stream, and misses nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.async_api import Page

from tests.e2e.browser import open_page
from tests.e2e.conftest import MODEL
from tests.e2e.cut_proxy import CutProxy
from tests.e2e.service import Up
from tests.fakes.upstream_client import Upstream, rule

pytestmark = pytest.mark.timeout(300)

PAGE = Path(__file__).with_name("event_source.html")
WORDS = " ".join(f"word-{number}" for number in range(150))


def submit(http: httpx.Client) -> tuple[str, str]:
    """Submit a job that streams; return its id, and the path of its events with a token for them."""
    messages = [{"role": "user", "content": "go on"}]
    body = {"model": MODEL, "messages": messages, "stream": True}
    job = http.post("/v1/jobs", json={"endpoint": "/v1/chat/completions", "body": body}).json()
    token = http.post(f"/v1/jobs/{job['id']}/events/token").raise_for_status().json()
    return job["id"], token["url"]


@asynccontextmanager
async def page_server() -> AsyncIterator[str]:
    """Serve the page from an origin of its own, as a customer does; yield its URL."""
    body = PAGE.read_bytes()
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def seen(page: Page) -> Any:
    """Return what the page has collected."""
    return await page.evaluate("seen")


async def test_a_page_that_is_cut_off_resumes(
    service: Up, http: httpx.Client, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(rule(content=WORDS, chunk_delay_ms=40))
    job_id, events = submit(http)
    async with (
        CutProxy(service.port) as proxy,
        page_server() as url,
        open_page(tmp_path / "profile") as page,
    ):
        await page.goto(f"{url}?events={quote(proxy.url + events, safe='')}")
        for cut, length in enumerate((100, 400), start=1):
            await page.wait_for_function(f"seen.text.length > {length}", timeout=30_000)
            await proxy.cut()
            await page.wait_for_function(f"seen.errors >= {cut}")
            before = await seen(page)
            assert before["text"] == WORDS[: len(before["text"])]
            assert len(before["text"]) < len(WORDS)
            await proxy.join()
            await page.wait_for_function(f"seen.opened > {cut}", timeout=30_000)
        await page.wait_for_function("seen.over", timeout=60_000)
        await page.screenshot(path=tmp_path / "page.png")
        end = await seen(page)

    assert end["text"] == WORDS
    names = [event["name"] for event in end["events"]]
    assert names[-1] == "job.completed"
    assert names.count("job.started") <= 1
    # It was resumed, not told all over again.
    assert "reset" not in names
    # (On a slow machine all that the second connection is for may have been said before the cut.)
    assert {event["at"] for event in end["events"]} >= {1, 3}
    places = [parse(event["id"]) for event in end["events"] if event["id"]]
    assert len(places) == len(set(places))
    assert places == sorted(places)
    deltas = [parse(event["id"])[1] for event in end["events"] if event["name"] == "job.delta"]
    assert deltas == list(range(1, len(deltas) + 1))
    # After the end it came back once more, was told that there is nothing, and stays away.
    assert end["errors"] == 4
    assert end["opened"] == 3
    assert answer_of(http, job_id) == WORDS


def answer_of(http: httpx.Client, job_id: str) -> Any:
    """Return what the job's result says."""
    job = http.get(f"/v1/jobs/{job_id}").raise_for_status().json()
    return job["result"]["body"]["choices"][0]["message"]["content"]


def parse(name: str) -> tuple[int, int]:
    """Return the numbers of an event's id."""
    _, number, delta = name.split(".")
    return int(number), int(delta)
