"""The application with little room, a worker in the test's hands, and clients that follow."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.api.events.following import Follow, Stream
from tests.api.openai.hand import Hand, a_hand
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app


@pytest.fixture
async def app(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    settings: dict[str, Any] = {"max_sse_clients": 4, "max_sse_clients_per_key": 3}
    async with whole_app(
        tmp_path, database_url=database_url, redis_url=redis_url, **settings
    ) as app:
        yield app


@pytest.fixture
async def hand(app: WholeApp) -> AsyncIterator[Hand]:
    async with a_hand(app.settings) as hand:
        yield hand


@pytest.fixture
async def follow(app: WholeApp) -> AsyncIterator[Follow]:
    """Return a function that begins to follow a job by its id, or what a URL leads to."""
    async with AsyncExitStack() as stack:
        begun: list[Stream] = []

        def start(job: str, **headers: str) -> Stream:
            url = job if job.startswith("/") else f"/v1/jobs/{job}/events"
            shown = {} if "token=" in url else {"authorization": f"Bearer {ADMIN_KEY}"}
            begun.append(Stream(app.app, url, **(shown | headers)))
            return begun[-1]

        yield start
        for each in begun:
            await stack.enter_async_context(each)
