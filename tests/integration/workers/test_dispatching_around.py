"""What the dispatcher gives out where a job may not go everywhere that its model is served."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlmodel import col

from shared import migrate
from shared.auth.model import Tenant
from shared.clock import now_ms
from shared.ids import new_id
from shared.jobs import store
from shared.jobs.draft import JobDraft
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import lane_of
from shared.jobs.model import Job
from shared.jobs.rows import job_row, request_row
from shared.limiter.buckets import Cost
from shared.limiter.limiter import Limiter
from shared.processes.model import WorkerLife
from shared.resources import Resources, open_resources
from shared.routing.breaker import Breakers
from shared.routing.model import Route, Target
from shared.settings import Settings
from shared.telemetry.metrics import SchedulerMetrics
from workers.scheduler import dispatcher
from workers.scheduler.dispatcher import Dispatcher
from workers.scheduler.duties import Desk

HOUR_MS = 3_600_000
DEPLOYMENT = """
[[deployments]]
name = "{name}"
provider = "sandbox"
model = "echo"
region = "{region}"
concurrency = {concurrency}
"""
ROUTE = """
[[routes]]
model = "both"
deployments = ["wide", "narrow"]
tiers = { small = ["narrow"] }

[[routes]]
model = "consoled"
deployments = ["wide"]
default_answer = "Later."

[[routes]]
model = "only-wide"
deployments = ["wide"]
"""


@pytest.fixture
async def resources(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Resources]:
    """A worker with room for all, a wide deployment, and a narrow one in another region."""
    config = tmp_path / "penstock.toml"
    wide = DEPLOYMENT.format(name="wide", region="us-east", concurrency=100)
    # The narrow one can do all that the wide one can, and reads pictures.
    wide += 'capabilities = ["tools"]\n'
    narrow = DEPLOYMENT.format(name="narrow", region="eu-west", concurrency=1)
    apart = DEPLOYMENT.format(name="apart", region="us-east", concurrency=1)
    config.write_text(wide + narrow + apart + ROUTE)
    settings = Settings(
        config=config, database_url=database_url, redis_url=redis_url, data_dir=tmp_path
    )
    async with open_resources(settings) as opened:
        await migrate.upgrade(opened.database)
        now = now_ms()
        life = dict.fromkeys(("started_at", "seen_at", "polled_at"), now)
        life |= {"pid": 1, "in_flight": 0, "capacity": 1000, "draining": False}
        async with opened.database.transaction() as db:
            await db.execute(insert(WorkerLife).values(owner="w", host="h", **life))
        yield opened


def target(resources: Resources, name: str) -> Target:
    return resources.catalog.resolve(name).targets[0]


async def put(
    resources: Resources,
    home: str,
    *,
    tenant: str = "ten_1",
    count: int = 5,
    model: str = "both",
    not_before: int | None = None,
    endpoint: Endpoint = Endpoint.CHAT,
) -> list[str]:
    now = now_ms()
    draft = JobDraft(tenant, endpoint, model, b"{}", 2, now, now + HOUR_MS)
    ids = [new_id("job") for _ in range(count)]
    more = {"wakeup_at": None, "tokens": 10, "lane": home, "not_before": not_before}
    async with resources.database.transaction() as db:
        rows = [{**job_row(each, draft), **more} for each in ids]
        await store.insert_jobs(db, rows, [request_row(each, draft) for each in ids])
    return ids


async def fill(resources: Resources, name: str) -> None:
    """Occupy every place of a deployment."""
    limiter, lane = Limiter(resources.redis), lane_of(target(resources, name))
    for number in range(lane.max_concurrency):
        await limiter.acquire(lane, f"busy:{number}", Cost(1, 1, 1), lease_ttl_s=60)


def new_dispatcher(resources: Resources) -> Dispatcher:
    return Dispatcher(resources, SchedulerMetrics(), Breakers(resources.redis))


@pytest.mark.parametrize("changes", [{"regions": ["eu"]}, {"tier": "small"}])
async def test_room_where_a_tenant_may_not_go_is_none_for_it(
    resources: Resources, changes: dict[str, Any]
) -> None:
    await fill(resources, "narrow")
    async with resources.database.transaction() as db:
        tenant = {"id": "ten_eu", "name": "eu", "created_at": now_ms(), **changes}
        await db.execute(insert(Tenant).values(tenant))
    await put(resources, target(resources, "narrow").lane_key, tenant="ten_eu")

    assert await new_dispatcher(resources).dispatch() == 0


async def test_a_job_goes_where_it_may_while_its_home_is_full(resources: Resources) -> None:
    await fill(resources, "narrow")
    ids = await put(resources, target(resources, "narrow").lane_key)

    assert await new_dispatcher(resources).dispatch() == len(ids)


async def test_who_was_sent_away_in_vain_is_not_sent_again_at_once(resources: Resources) -> None:
    await fill(resources, "narrow")
    home, late = target(resources, "narrow").lane_key, now_ms() - dispatcher.SURELY_MS
    turned_away = await put(resources, home, not_before=now_ms() - 1000)
    long_ago = await put(resources, home, not_before=late - 1000, count=2)
    giver = new_dispatcher(resources)

    assert await giver.dispatch() == len(long_ago), "it may be that they fit there after all"

    assert set(giver._given.ids()) == set(long_ago)
    assert not set(giver._given.ids()) & set(turned_away)


async def test_what_does_as_much_as_its_home_is_as_good(resources: Resources) -> None:
    await fill(resources, "wide")
    home = target(resources, "wide").lane_key
    await put(resources, home, not_before=now_ms() - 1000, count=1)

    assert await new_dispatcher(resources).dispatch() == 1


async def test_a_lane_that_is_shut_keeps_nobody_whose_route_leaves_it_out(
    resources: Resources,
) -> None:
    shut = target(resources, "apart")
    await Limiter(resources.redis).pause(lane_of(shut), seconds=300)
    ids = await put(resources, shut.lane_key, model="only-wide", count=700)
    giver = new_dispatcher(resources)

    given = sum([await giver.dispatch() for _ in range(6)])

    assert given == 95, (
        "as many as the wide one takes of standard work, without its part of the reserve"
    )
    async with resources.database.reading() as db:
        lanes = (await db.execute(select(col(Job.lane)).where(col(Job.id).in_(ids)))).scalars()
        assert set(lanes) == {target(resources, "wide").lane_key}


async def test_a_model_whose_lane_cannot_be_built_holds_up_no_other(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(target(resources, "apart").deployment, tpm=10**12)
    resolve = resources.catalog.resolve
    monkeypatch.setattr(
        resources.catalog,
        "resolve",
        lambda model: Route(model, (broken,)) if model == "broken" else resolve(model),
    )
    await put(resources, "broken:0", model="broken", count=2)
    await put(resources, target(resources, "wide").lane_key, model="only-wide", count=3)

    # The broken one's go too: a worker says what is wrong with them.
    assert await new_dispatcher(resources).dispatch() == 5


async def test_a_crowd_that_is_late_has_its_routes_answer_to_the_last(resources: Resources) -> None:
    home = target(resources, "wide").lane_key
    await put(resources, home, model="consoled", count=650)
    await put(resources, home, model="consoled", count=2, endpoint=Endpoint.EMBEDDINGS)
    async with resources.database.transaction() as db:
        await db.execute(update(Job).values(complete_by=now_ms() - 60_000))

    await Desk(resources, Limiter(resources.redis), SchedulerMetrics()).expire()

    async with resources.database.reading() as db:
        states = (await db.execute(select(col(Job.state)))).scalars()
        assert Counter(states) == {"completed": 650, "expired": 2}
