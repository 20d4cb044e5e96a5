"""The application with a batch clerk: what a client sends, and what is stored of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.batches.clerk import Clerk
from tests.api.whole_app import WholeApp, whole_app

CONFIG = """
[[deployments]]
name = "priced"
provider = "sandbox"
model = "echo"
price = { input_usd = 1.0, output_usd = 2.0 }

[[deployments]]
name = "unpriced"
provider = "openai"
model = "a-model-that-nobody-sells"
base_url = "http://127.0.0.1:9/v1"
keys = ["a key"]

[[deployments]]
name = "paced"
provider = "sandbox"
model = "echo"
rpm = 240
"""


@pytest.fixture
async def app(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[WholeApp]:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    async with whole_app(tmp_path, database_url=sqlite_url, redis_url=redis_url) as app:
        yield app


@pytest.fixture
def clerk(app: WholeApp) -> Clerk:
    return Clerk(app)
