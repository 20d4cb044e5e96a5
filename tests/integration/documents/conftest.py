from collections.abc import AsyncIterator

import pytest_asyncio

from shared.documents.extract import Extractor


@pytest_asyncio.fixture
async def extractor() -> AsyncIterator[Extractor]:
    """An extractor with its usual limits; its children end with the test."""
    one = Extractor()
    yield one
    await one.aclose()
