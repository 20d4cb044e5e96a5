"""What the doctor makes of what Redis and the books say."""

from typing import Any

import pytest

from api.cli.doctor_database import judge_crew
from api.cli.doctor_redis import judge, judge_latency
from api.cli.finding import Finding, Level
from shared.jobs.pulse import Crew

GOOD: dict[str, Any] = {
    "redis_version": "7.2.4",
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
}


def levels(info: dict[str, Any]) -> dict[str, Level]:
    return {finding.part: finding.level for finding in judge(info)}


def test_a_good_redis_is_good() -> None:
    assert set(levels(GOOD).values()) == {Level.OK}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"redis_version": "6.0.16"}, "redis version"),
        ({"redis_version": "5"}, "redis version"),
        ({"aof_enabled": 0}, "redis log"),
        ({"aof_last_write_status": "err"}, "redis log"),
        ({"maxmemory_policy": "allkeys-lru"}, "redis memory"),
        ({"maxmemory_policy": "volatile-ttl"}, "redis memory"),
        ({"role": "slave"}, "redis"),
    ],
)
def test_each_misconfiguration_fails(change: dict[str, Any], part: str) -> None:
    found = levels({**GOOD, **change})

    assert found.pop(part) is Level.FAIL
    assert set(found.values()) <= {Level.OK}


def test_a_version_is_compared_by_numbers() -> None:
    assert levels({**GOOD, "redis_version": "10.0.1"})["redis version"] is Level.OK


def test_distance_is_told() -> None:
    assert judge_latency(0.3).level is Level.OK
    assert judge_latency(80).level is Level.WARN


def crew_of(*, consuming: int = 0, silent: int = 0, draining: int = 0) -> list[Finding]:
    crew = Crew(consuming=consuming, silent=silent, draining=draining, in_flight=0)
    return [found for found in judge_crew(leads=True, crew=crew) if found.part == "workers"]


def test_workers_are_judged_by_whether_they_consume() -> None:
    assert [each.level for each in crew_of(consuming=2)] == [Level.OK]
    assert [each.level for each in crew_of()] == [Level.FAIL]
    assert [each.level for each in crew_of(silent=1)] == [Level.FAIL]
    assert [each.level for each in crew_of(consuming=1, silent=1)] == [Level.FAIL, Level.OK]
    assert [each.level for each in crew_of(draining=1)] == [Level.WARN]


def test_nobody_leading_fails() -> None:
    crew = Crew(consuming=1, silent=0, draining=0, in_flight=0)

    found = {each.part: each.level for each in judge_crew(leads=False, crew=crew)}

    assert found == {"scheduler": Level.FAIL, "workers": Level.OK}
