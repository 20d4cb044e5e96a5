"""Probes of deployments: a sick one leaves, and comes back once it is well."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared.limiter.limiter import Limiter
from shared.routing.breaker import Breakers
from shared.routing.breaker_states import Verdict
from shared.routing.catalog import Catalog, catalog_of
from shared.routing.model import HealthCheck, Target
from shared.settings import Settings
from tests.fakes.upstream_client import Upstream
from workers.provider_pool import ProviderPool
from workers.scheduler.health import HealthChecks

CONFIG = """
[[deployments]]
name = "watched"
provider = "sandbox"
model = "echo"
health = { every_s = 1 }

[[deployments]]
name = "left in peace"
provider = "sandbox"
model = "echo"

[[routes]]
model = "m"
deployments = ["watched", "left in peace"]
breaker = { cool_down_s = 1, min_calls = 1000 }
"""


@dataclass
class Doctor:
    """Says of each probe what the test wants."""

    says: Verdict = Verdict.GOOD
    asked: list[str] = field(default_factory=list)

    async def __call__(self, target: Target, check: HealthCheck) -> Verdict:
        self.asked.append(target.deployment.name)
        return self.says


class Clinic:
    """Health checks that are all due, at breakers with a clock of the test's."""

    def __init__(self, redis: Redis, catalog: Catalog, doctor: Doctor | None) -> None:
        self.now = 1_800_000_000_000
        self.breakers = Breakers(redis, clock=lambda: self.now)
        self.pool = ProviderPool(Settings())
        self._of = (catalog, Limiter(redis), self.breakers, self.pool, doctor)
        self._checks = HealthChecks(*self._of)

    async def probe(self) -> bool:
        """Probe once, and tell whether the watched one is left alone."""
        await self.breakers.refresh()
        self._checks._due.clear()
        await self._checks.perform()
        await self.breakers.told_all()
        await self.breakers.refresh()
        return "watched" in self.breakers.open


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def doctor() -> Doctor:
    return Doctor()


@pytest.fixture
async def clinic(redis: Redis, doctor: Doctor) -> AsyncIterator[Clinic]:
    clinic = Clinic(redis, catalog_of(CONFIG, {}), doctor)
    yield clinic
    await clinic.pool.aclose()


async def test_only_who_is_to_be_asked_is(clinic: Clinic, doctor: Doctor) -> None:
    assert not await clinic.probe()

    assert doctor.asked == ["watched"]


async def test_two_bad_ones_in_a_row_leave_it_alone(clinic: Clinic, doctor: Doctor) -> None:
    doctor.says = Verdict.BAD
    first = await clinic.probe()
    doctor.says = Verdict.GOOD
    await clinic.probe()
    doctor.says = Verdict.BAD
    again = await clinic.probe()

    assert not first
    assert not again
    assert await clinic.probe()


async def test_it_comes_back_by_a_probe_after_the_cool_down(clinic: Clinic, doctor: Doctor) -> None:
    doctor.says = Verdict.BAD
    await clinic.probe()
    await clinic.probe()
    doctor.says, before = Verdict.GOOD, len(doctor.asked)
    still = await clinic.probe()
    asked = len(doctor.asked)
    clinic.now += 1500

    assert still
    assert asked == before, "nobody is asked before the cool-down is over"
    assert not await clinic.probe()


NOWHERE = """
[[deployments]]
name = "watched"
provider = "openai-compatible"
model = "m"
base_url = "http://127.0.0.1:9/v1"
health = { every_s = 1%s }
"""


@pytest.mark.parametrize("path", ["", ', path = "/health"'])
async def test_who_cannot_be_reached_is_not_well(redis: Redis, path: str) -> None:
    clinic = Clinic(redis, catalog_of(NOWHERE % path, {}), None)
    await clinic.probe()

    assert await clinic.probe()
    await clinic.pool.aclose()


async def test_who_answers_is_well(redis: Redis) -> None:
    clinic = Clinic(redis, catalog_of(CONFIG, {}), None)
    await clinic.probe()

    assert not await clinic.probe()
    await clinic.pool.aclose()


ANY = """
[[deployments]]
name = "watched"
provider = "{provider}"
model = "any"
base_url = "{base_url}"
keys = ["sk-any"]
health = {{ every_s = 1 }}
"""


@pytest.mark.parametrize(
    "provider", ["openai-compatible", "anthropic", "gemini", "openai-responses"]
)
async def test_the_question_is_one_that_its_wire_answers(
    redis: Redis, provider: str, tmp_path: Path
) -> None:
    with Upstream(tmp_path / "ledger.jsonl") as upstream:
        config = ANY.format(provider=provider, base_url=upstream.address(provider))
        clinic = Clinic(redis, catalog_of(config, {}), None)

        assert not await clinic.probe()

        assert [call["status"] for call in upstream.calls()] == [200]
        await clinic.pool.aclose()
