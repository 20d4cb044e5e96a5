"""Long polls while the process is told to stop: they are answered, not cut off."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.whole_app import whole_app


@pytest.fixture
def told() -> Iterator[list[int]]:
    """Stand in for the server, which handles the signals before the lifespan begins."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


async def test_who_waits_is_answered_at_once_when_the_process_is_to_stop(
    tmp_path: Path, redis_url: str, told: list[int]
) -> None:
    servers = signal.getsignal(signal.SIGTERM)
    url = f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    async with whole_app(tmp_path, database_url=url, redis_url=redis_url) as whole:
        job_id = await whole.submit("hello")
        waiting = asyncio.create_task(whole.client.get(f"/v1/jobs/{job_id}?wait=60"))
        for _ in range(10):
            await whole.client.get(f"/v1/jobs/{job_id}")
        assert not waiting.done()

        signal.raise_signal(signal.SIGTERM)
        answer = await asyncio.wait_for(waiting, 4)

    assert told == [signal.SIGTERM]
    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert answer.headers["retry-after"]
    assert signal.getsignal(signal.SIGTERM) is servers
