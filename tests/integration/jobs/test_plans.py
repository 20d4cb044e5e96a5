"""Every query that runs often finds its rows by an index: what has ended costs it nothing."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from shared import migrate
from shared.batches import (
    lifecycle_store,
    lines_store,
    purge_store,
    recount_store,
    results_store,
    twin_store,
)
from shared.batches import store as batch_store
from shared.clock import now_ms
from shared.database import Database
from shared.files import orphan_store
from shared.files import store as file_store
from shared.jobs import (
    change_store,
    claim_store,
    dispatch_store,
    place_store,
    pulse_store,
    retention_store,
    store,
    timer_store,
)
from shared.jobs.store import Filters
from shared.webhooks import delivery_store, fanout_store
from tests.integration.jobs.crowd import Crowd
from tests.integration.jobs.explain import Act, plans
from tests.servers import PostgresServer

pytestmark = pytest.mark.timeout(300)
CROWD = Crowd()
QUEUED, RUNNING = CROWD.ids(state="queued"), CROWD.ids(state="running")
ENDED = CROWD.ids(state="completed", batch_id=None)
LINES = CROWD.ids(batch_id="batch_old")
QUEUE, PLACE = ("lane_a", "ten_big"), (1, now_ms(), "job_z")
WAITING = 2000
"""What waits and runs may be read whole by what looks after all of it; what has ended may not."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database of each kind, for all tests of this file."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('plans') / 'penstock.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(scope="module")
async def database(url: str) -> AsyncIterator[Database]:
    """The crowd in it."""
    opened = Database(url)
    await migrate.upgrade(opened)
    await CROWD.store(opened)
    yield opened
    await opened.close()


def listed(*, ascending: bool = False, **filters: Any) -> Act:
    narrowed = Filters(**filters)
    return lambda db: store.page(db, "ten_big", narrowed, after=None, ascending=ascending, limit=21)


def lines_page(which: results_store.Which) -> Act:
    span = {"after": 2000, "until": 4000, "limit": 100}
    return lambda db: results_store.page(db, "batch_old", which, **span)


HOT: dict[str, tuple[Act, int]] = {
    # what is done for each job, or for a slice of them
    "claim": (
        lambda db: claim_store.claim(db, QUEUED[:64], owner="w", lease_ms=1000),
        WAITING + 300,
    ),
    "renew": (
        lambda db: claim_store.renew(db, RUNNING[:64], owner="worker-1", lease_ms=1000),
        300,
    ),
    "look up": (lambda db: store.lookup(db, "ten_big", ENDED[:100]), 100),
    "attempts": (lambda db: store.attempts_of(db, ENDED[:100]), 100),
    "results": (lambda db: store.results_of(db, ENDED[:100]), 200),
    "retry": (lambda db: change_store.retry(db, "ten_big", ENDED[0], lifetime_ms=1), 2),
    "erase": (lambda db: change_store.erase(db, "ten_big", ENDED[0]), 5),
    # the dispatcher
    "tenants that wait": (dispatch_store.waiting_tenants, 100),
    "first due": (
        lambda db: dispatch_store.first_due(db, "lane_a", "ten_big", limit=50),
        500,
    ),
    "still due": (lambda db: dispatch_store.still_due(db, QUEUED[:200]), WAITING),
    "running by lane": (dispatch_store.running, len(RUNNING)),
    "without lane": (lambda db: dispatch_store.without_lane(db, limit=100), WAITING),
    # the other duties
    "scheduled": (lambda db: timer_store.queue_scheduled(db, limit=2000), 300),
    "forgotten": (
        lambda db: timer_store.take_forgotten(db, priority=1, silent_ms=5000, limit=100),
        WAITING,
    ),
    "abandoned": (lambda db: timer_store.abandoned(db, limit=100), 200),
    "expired": (lambda db: timer_store.expire(db, limit=100), 400),
    "calls under way": (timer_store.calls_under_way, 3 * len(RUNNING)),
    "deliveries due": (lambda db: delivery_store.due_targets(db, limit=100), 800),
    "old deliveries": (
        lambda db: fanout_store.forget_past(db, older_than_ms=10**9, limit=100),
        300,
    ),
    # what all of the queue is counted for
    "backlog": (store.backlog, WAITING),
    "depths": (pulse_store.depths, WAITING),
    "survey of queues": (place_store.marks, WAITING),
    "head of a queue": (lambda db: place_store.head(db, QUEUE), 1),
    "stand before": (lambda db: place_store.due_before(db, QUEUE, PLACE, behind=None), WAITING),
    "stand between": (
        lambda db: place_store.due_before(db, QUEUE, PLACE, behind=(0, 1, "job_a")),
        WAITING,
    ),
    "woken before": (lambda db: place_store.woken_before(db, QUEUE, PLACE), WAITING),
    # lists
    "list": (listed(), 21),
    "list from the oldest": (listed(ascending=True), 21),
    "list of a day": (listed(created_before=CROWD.now - 1_000_000), 21),
    "list of failed": (listed(status="failed"), 21),
    "list of expired": (listed(status="expired"), 21),
    "list of running": (listed(status="running"), 300),
    "list of queued from the oldest": (listed(status="queued", ascending=True), WAITING),
    "list of waiting": (listed(status="waiting"), WAITING),
    "list of scheduled": (listed(status="scheduled"), WAITING),
    "list of a batch": (listed(batch_id="batch_07"), 1000),
    "batches": (
        lambda db: batch_store.page(
            db, "ten_big", status=None, after=None, ascending=False, limit=21
        ),
        0,
    ),
    "files": (
        lambda db: file_store.page(
            db, "ten_big", purpose=None, after=None, ascending=False, limit=21
        ),
        30,
    ),
    # batches
    "results page": (lines_page(results_store.Which.ALL), 200),
    "error lines": (lines_page(results_store.Which.ERROR), 4000),
    "batches alive": (lifecycle_store.alive, 1700),
    "cancel lines": (lambda db: lines_store.cancel_waiting(db, "batch_now", limit=200), 1700),
    "pause lines": (lambda db: lines_store.mark_paused(db, "batch_now", limit=200), 1700),
    "let lines go": (lambda db: lines_store.let_go(db, "batch_now", limit=200), 1700),
    "stop lines": (lambda db: lines_store.stop_running(db, "batch_now", limit=200), 400),
    "uncounted lines": (lambda db: recount_store.uncounted(db, limit=500), 0),
    "running lines": (lambda db: lines_store.running(db, "batch_now"), len(RUNNING)),
    "twins": (lambda db: twin_store.askers(db, ["twin-1", "twin-2"]), 10),
    # the end of things' time
    "jobs past": (
        lambda db: retention_store.past(db, "ten_big", older_than_ms=1000, limit=200),
        200,
    ),
    "remove jobs": (lambda db: retention_store.remove_single(db, ENDED[:200]), 1600),
    "remove lines": (lambda db: retention_store.remove_lines(db, LINES[:200]), 1600),
    "batches past": (lambda db: purge_store.past(db, retention_ms=500, limit=10), 0),
    "lines to purge": (lambda db: purge_store.lines(db, "batch_old", limit=200), 200),
    "orphans": (
        lambda db: orphan_store.named(
            db, [f"results/{each}/1-1.json" for each in ENDED[:300]] + ["files/ab/7", "requests/x"]
        ),
        310,
    ),
    "doomed files": (lambda db: file_store.doomed(db, limit=100), 100),
}


@pytest.mark.parametrize("name", HOT)
async def test_it_reads_no_large_table_whole(database: Database, name: str) -> None:
    act, most = HOT[name]

    found = await plans(database, act)

    assert found
    assert [(plan.statement, plan.read_whole) for plan in found if plan.read_whole] == []
    assert [(plan.statement, plan.touched) for plan in found if plan.touched > most] == []


@pytest.mark.parametrize(
    "statement",
    ["SELECT count(*) FROM job WHERE endpoint = 'x'", "DELETE FROM attempt WHERE lane = 'x'"],
)
async def test_the_test_sees_what_it_is_to_see(database: Database, statement: str) -> None:
    act: Callable[..., Any] = lambda db: db.exec_driver_sql(statement)  # noqa: E731

    (plan,) = await plans(database, act)

    assert plan.read_whole
