"""Admission: how much of each kind may wait, of jobs that there are and of those that are to come."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.database import Database
from shared.errors import LimitExceeded, Unavailable
from shared.jobs.admission import Admission, Load
from shared.settings import Settings

TENANT = "ten_one"
LOW: dict[str, Any] = {
    "max_queued_jobs_per_tenant": 10,
    "max_queued_bytes_per_tenant": 1000,
    "max_queued_tokens_per_tenant": 500,
    "max_queued_jobs": 15,
    "max_queued_bytes": 1500,
    "min_free_disk_bytes": 1,
}


def admission(database: Database, folder: Path, **more: Any) -> Admission:
    return Admission(database, Settings(data_dir=folder, **LOW), **more)


@pytest.mark.parametrize(
    ("more", "limit"),
    [(Load(11, 1, 1), 10), (Load(1, 1001, 1), 1000), (Load(1, 1, 501), 500)],
)
async def test_each_limit_of_a_tenant_refuses_all_or_nothing(
    database: Database, tmp_path: Path, more: Load, limit: int
) -> None:
    door = admission(database, tmp_path)

    with pytest.raises(LimitExceeded) as raised:
        await door.admit_load(TENANT, more)

    assert raised.value.extra == {"limit": limit, "current": 0}
    await door.admit_load(TENANT, Load(10, 1000, 500))
    with pytest.raises(LimitExceeded):
        await door.admit_load(TENANT, Load(1, 0, 0))


async def test_a_check_reserves_nothing(database: Database, tmp_path: Path) -> None:
    door = admission(database, tmp_path)

    for _ in range(3):
        await door.check_load(TENANT, Load(10, 10, 10))

    await door.admit_load(TENANT, Load(10, 10, 10))


async def test_all_tenants_together_have_limits_too(database: Database, tmp_path: Path) -> None:
    door = admission(database, tmp_path)
    await door.admit_load(TENANT, Load(10, 10, 10))

    with pytest.raises(Unavailable):
        await door.admit_load("ten_two", Load(6, 10, 10))
    await door.admit_load("ten_two", Load(5, 10, 10))


async def test_what_is_no_job_yet_counts(database: Database, tmp_path: Path) -> None:
    async def unread(_db: AsyncConnection) -> dict[str, tuple[int, int, int]]:
        return {TENANT: (4, 40, 400)}

    door = admission(database, tmp_path, unread=unread)

    with pytest.raises(LimitExceeded) as raised:
        await door.admit_load(TENANT, Load(1, 1, 101))
    assert raised.value.extra == {"limit": 500, "current": 400}
    await door.admit_load(TENANT, Load(6, 1, 100))
