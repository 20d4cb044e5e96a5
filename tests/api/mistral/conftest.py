"""The application, and a worker in the test's hands."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.openai.hand import Hand, a_hand
from tests.api.whole_app import WholeApp, whole_app

CONFIG = """
[[deployments]]
name = "tiny"
provider = "sandbox"
model = "echo"
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
