"""Penstock as an operator runs it, on real servers, with a provider that keeps its own ledger."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis

from shared.auth import issuing, store
from shared.auth.permissions import Role
from shared.clock import now_ms
from shared.database import Database
from shared.ids import new_id
from shared.migrate import upgrade
from tests.fakes.receiver import Receiver
from tests.fakes.upstream_client import Upstream
from tests.faults import deployments, sql, witness
from tests.faults.client import Client
from tests.faults.polling import until
from tests.faults.processes import NurseryClient, Process
from tests.servers import RedisServer, free_port

ADMIN_KEY = "an-administrator-of-the-fault-tests"
SECRET = "a-secret-of-the-fault-tests"
WORKER = (
    "workers.main",
    "--processes",
    "1",
    "--threads",
    "16",
    "--worker-shutdown-timeout",
    "28000",
)
API = (
    "api.main:app",
    "--loop",
    "uvloop",
    "--http",
    "httptools",
    "--no-access-log",
    "--timeout-graceful-shutdown",
    "20",
)
HOUR_MS = 3_600_000
# What takes a minute in production takes a second here.
SETTINGS = {
    "LEASE_S": "2",
    "RENEW_S": "0.4",
    "SWEEP_S": "0.3",
    "TICK_S": "0.1",
    "LEADER_S": "1.5",
    "WAKEUP_S": "1",
    "DRAIN_S": "10",
    "BACKOFF_BASE_S": "0.05",
    "BACKOFF_CAP_S": "0.5",
    "ATTEMPT_TIMEOUT_S": "30",
    "SSE_PING_S": "1",
    "WEBHOOK_ALLOW_PRIVATE": "true",
    "WEBHOOK_TIMEOUT_S": "2",
    "WEBHOOK_SCHEDULE_S": "[0.2, 0.3, 0.5, 0.8, 1, 1, 1]",
    "LOG_LEVEL": "info",
}


@dataclass(slots=True)
class Service:
    """An API, a worker, a scheduler, and what they stand on; `api_2`, `worker_2` and `standby` are spare.

    `disruptions` counts what may cost a job a call: workers killed, frozen, or sent away. `receiver`
    is told of every job, `others` are those that a test has registered. `crew` are workers that a
    test has added.
    """

    folder: Path
    redis: RedisServer
    upstream: Upstream
    receiver: Receiver
    database_url: str
    sql: sql.Sql
    client: Client
    client_2: Client
    stranger_key: str
    api: Process
    api_2: Process
    worker: Process
    worker_2: Process
    scheduler: Process
    standby: Process
    new_worker: Callable[[str], Process]
    disruptions: int = 0
    others: list[Receiver] = field(default_factory=list)
    crew: list[Process] = field(default_factory=list)

    @property
    def processes(self) -> tuple[Process, ...]:
        """Every process of Penstock, spare ones included."""
        return (self.api, self.worker, self.scheduler, *self.spares)

    @property
    def spares(self) -> tuple[Process, ...]:
        """Those that only run when a test starts them."""
        return (self.api_2, self.worker_2, self.standby, *self.crew)

    def start(self) -> None:
        """Start what is not running, with the settings of every day, and wait for the API."""
        self.redis.start()
        for process in (self.api, self.worker, self.scheduler):
            if process.running and process.changes:
                process.stop()
            if not process.running:
                process.start()
        self.await_api()

    def await_api(self) -> None:
        """Wait until every API that was started answers."""
        until(lambda: self._answers(self.api, self.client), "the API answers")
        if self.api_2.running:
            until(lambda: self._answers(self.api_2, self.client_2), "the second API answers")

    def add_worker(self) -> None:
        """Start one more worker, for this test."""
        self.crew.append(self.new_worker(f"worker_{len(self.crew) + 3}"))
        self.crew[-1].start()

    def crash_worker(self) -> None:
        """Kill the worker without warning."""
        self.disruptions += 1
        self.worker.kill()

    def let_time_pass(self) -> None:
        """Let an hour pass for deliveries that wait and for receivers at rest."""
        self.sql.run(f"UPDATE webhook_rest SET rests_until = rests_until - {HOUR_MS}")
        self.sql.run(
            f"UPDATE webhook_delivery SET next_try_at = next_try_at - {HOUR_MS}"
            " WHERE state = 'pending'"
        )

    def freeze(self, process: Process) -> None:
        """Stop a process in its tracks, but not where it keeps all others from writing.

        On SQLite a process may stand in the middle of a transaction: nobody writes until it thaws.
        """
        while True:
            process.signal(signal.SIGSTOP)
            if self._can_be_written():
                return
            process.signal(signal.SIGCONT)
            time.sleep(0.003)

    def run_until_killed(self, process: Process) -> None:
        """Wait until a process has died at its failpoint."""
        self.disruptions += 1
        process.wait_until_killed()

    def tidy(self) -> None:
        """Make ready for the next test: everyday settings, no spare processes, a friendly provider."""
        for spare in self.spares:
            if spare.running:
                spare.stop()
        self.crew.clear()
        self.upstream.clear()
        self.upstream.release()
        self.client.begin_anew()
        self.start()
        self.client.remove_endpoints()
        self.receiver.clear()
        self.disruptions = 0

    def redis_client(self) -> Redis:
        """Return a client of the test's own; use it in a `with` block."""
        client: Redis = Redis.from_url(self.redis.url)
        return client

    def reconnect(self) -> None:
        """Open the test's own connection again, after the database was away."""
        self.sql.close()
        self.sql = sql.connect(self.database_url)

    def last_words(self, lines: int = 25) -> str:
        """Return the ends of the logs."""
        parts = []
        for path in sorted(self.folder.glob("*.log")):
            tail = path.read_text("utf-8", "replace").splitlines()[-lines:]
            parts.append("\n".join([f"--- {path.stem}", *tail]))
        return "\n".join(parts)

    def _can_be_written(self) -> bool:
        if self.sql.kind != "sqlite":
            return True
        path = self.database_url.split(":///")[1]
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
        return True

    def _answers(self, api: Process, client: Client) -> bool:
        assert api.running, f"the API ended: {self.last_words()}"
        try:
            return client.call("GET", "/healthz").status == 200
        except OSError:
            return False


@contextmanager
def running_service(nursery: NurseryClient, folder: Path, database_url: str) -> Iterator[Service]:
    """Run a service on an empty database; in the end nothing is left of it."""
    stranger_key = _prepare(database_url)
    seen = sql.connect(database_url)
    witness.install(seen)
    broker = RedisServer(folder / "redis", appendonly=True)
    broker.start()
    with Upstream(folder / "ledger.jsonl") as upstream, Receiver() as receiver:
        env = _environment(folder, database_url, broker.url, upstream)

        def process(name: str, module: str, *arguments: str) -> Process:
            return Process(nursery, module, arguments, env=env, log=folder / f"{name}.log")

        port, port_2 = free_port(), free_port()
        hook = receiver.url("/jobs")
        client = Client(port, ADMIN_KEY, hook=hook)
        service = Service(
            folder=folder,
            redis=broker,
            upstream=upstream,
            receiver=receiver,
            database_url=database_url,
            sql=seen,
            client=client,
            client_2=Client(port_2, ADMIN_KEY, client.accepted, hook),
            stranger_key=stranger_key,
            api=process("api", "uvicorn", *API, "--port", str(port)),
            api_2=process("api_2", "uvicorn", *API, "--port", str(port_2)),
            worker=process("worker", "dramatiq", *WORKER),
            worker_2=process("worker_2", "dramatiq", *WORKER),
            scheduler=process("scheduler", "workers.scheduler"),
            standby=process("standby", "workers.scheduler"),
            new_worker=lambda name: process(name, "dramatiq", *WORKER),
        )
        try:
            service.start()
            yield service
        finally:
            client.begin_anew()
            for each in service.processes:
                each.kill()
            broker.kill()
            service.sql.close()


def _prepare(database_url: str) -> str:
    """Create the tables, the administrator's key, and another tenant's; return the latter."""

    async def prepare() -> str:
        database = Database(database_url)
        await upgrade(database)
        await issuing.bootstrap(database, SECRET.encode(), admin_key=ADMIN_KEY)
        async with database.transaction() as db:
            other = await store.ensure_tenant(
                db, id=new_id("ten"), name="stranger", created_at=now_ms()
            )
        _, key = await issuing.issue(
            database, SECRET.encode(), tenant_id=other, name="stranger", role=Role.ADMIN
        )
        await database.close()
        return key

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(prepare())
    finally:
        loop.close()


def _environment(
    folder: Path, database_url: str, redis_url: str, upstream: Upstream
) -> dict[str, str]:
    config = folder / "penstock.toml"
    config.write_text(deployments.config(upstream.base_url))
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    settings = SETTINGS | {
        "CONFIG": str(config),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder / "var"),
        "SECRET_KEY": SECRET,
        "ADMIN_KEY": ADMIN_KEY,
    }
    return env | {f"PENSTOCK_{name}": value for name, value in settings.items()}
