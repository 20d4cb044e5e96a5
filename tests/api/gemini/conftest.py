"""The application, and a worker in the test's hands."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.gemini.asking import HELLO, Ask
from tests.api.openai.exchange import Exchange
from tests.api.openai.hand import Hand, a_hand
from tests.api.whole_app import ADMIN_KEY, WholeApp, whole_app

CONFIG = """
[[deployments]]
name = "limited"
provider = "sandbox"
model = "echo"
context_tokens = 32000

[[routes]]
model = "team/best model:v2"
deployments = ["limited"]
"""


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture
async def hand(app: WholeApp) -> AsyncIterator[Hand]:
    async with a_hand(app.settings) as hand:
        yield hand


@pytest.fixture
async def ask(app: WholeApp) -> AsyncIterator[Ask]:
    asked: list[Exchange] = []

    def start(path: str, body: dict[str, Any] | None = None) -> Exchange:
        headers = {"x-goog-api-key": ADMIN_KEY}
        asked.append(Exchange(app.app, path, HELLO if body is None else body, headers))
        return asked[-1]

    yield start
    for each in asked:
        async with each:
            pass
