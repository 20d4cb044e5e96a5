"""The whole service in processes of this machine: what `up` and `demo` start and stop."""

import asyncio
import errno
import fcntl
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx
import redis

from api.cli.configuration import read_catalog
from api.cli.errors import CommandError, first_line
from api.cli.own_redis import OwnRedis
from api.cli.prepare import prepare
from api.cli.supervisor import Child, Program, Report, Supervisor
from shared.redis import connect
from shared.settings import Settings, child_environment

API_PATIENCE_S, SCHEDULER_PATIENCE_S = 13.0, 10.0
DRAIN_MS = 28_000
"""What Dramatiq gives a worker that drains; a little more and it is killed."""
WORKER_PATIENCE_S = DRAIN_MS / 1000 + 4
READY_WITHIN_S = 90.0
POLL_S = 0.1
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared, not bound


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: with which settings, where its output goes, who is told what happens."""

    settings: Settings
    report: Report
    workers: int = 1
    own_redis: bool = True
    output: IO[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is starting or running."""

    url: str
    made_key: bool
    own_redis: OwnRedis | None
    supervisor: Supervisor

    async def ready(self, within_s: float = READY_WITHIN_S) -> None:
        """Return when jobs are accepted and worked on.

        Raises:
            CommandError: that was not so in time.
        """
        last = "it does not answer"
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as http:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while True:
                        with suppress(httpx.TransportError):
                            answer = await http.get("/readyz")
                            if answer.is_success:
                                return
                            last = answer.text[:300]
                        await asyncio.sleep(POLL_S)
        raise CommandError(f"Penstock was not ready within {within_s:g} s: {last}")

    async def keep(self) -> None:
        """Stay for as long as the service can run: for ever, if nothing unheard of happens.

        Raises:
            CommandError: it cannot go on.
        """
        if self.own_redis is not None:
            await self.own_redis.keep_running()
        await asyncio.Event().wait()

    def kill(self) -> None:
        """End every process now; no job is lost by it."""
        self.supervisor.kill()
        if self.own_redis is not None:
            self.own_redis.kill()


@asynccontextmanager
async def running(plan: Plan) -> AsyncIterator[Service]:
    """Start everything; on leaving, drain and stop it: API and workers, the scheduler, Redis.

    Raises:
        CommandError: the data folder, the port, Redis, the database or the configuration is not
            as it must be. Nothing is left running then.
    """
    settings = plan.settings
    read_catalog(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(own_folder(settings.data_dir))
        check_port(settings.host, settings.port)
        own_redis = None
        if plan.own_redis:
            own_redis = OwnRedis(settings.data_dir, plan.report)
            stack.push_async_callback(own_redis.stop)
        else:
            await check_redis(settings.redis_url)
        made_key = await prepare(settings)
        redis_url = own_redis.url if own_redis else settings.redis_url
        supervisor = _supervisor(plan, redis_url)
        supervisor.start()
        stack.push_async_callback(supervisor.stop)
        yield Service(_url(settings), made_key, own_redis, supervisor)


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process alone.

    Raises:
        CommandError: it cannot be written, or another process holds it.
    """
    with ExitStack() as stack:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = stack.enter_context((folder / "up.lock").open("ab"))
        except OSError as error:
            message = (
                f"The data folder {folder} cannot be written ({error.strerror}):"
                " name another one in PENSTOCK_DATA_DIR."
            )
            raise CommandError(message) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another `penstock up` works on the data folder {folder}: stop it first."
            raise CommandError(message) from error
        yield


def check_port(host: str, port: int) -> None:
    """Make sure that the API will be able to listen.

    Raises:
        CommandError: the port is in use, or the host is no address of this machine.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = (
                f"Port {port} on {host} is in use: choose another one with --port or PENSTOCK_PORT."
            )
        else:
            message = f"The API cannot listen on {host}:{port}: {first_line(error)}."
        raise CommandError(message) from error


async def check_redis(url: str) -> None:
    """Make sure that a Redis of somebody else's answers.

    Raises:
        CommandError: it does not, or the URL is none.
    """
    try:
        async with connect(url) as client:
            await client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        message = f"The Redis of PENSTOCK_REDIS_URL cannot be used: {first_line(error)}."
        raise CommandError(message) from error


def _supervisor(plan: Plan, redis_url: str) -> Supervisor:
    settings = plan.settings
    environment = child_environment(
        PENSTOCK_DATA_DIR=str(settings.data_dir),
        PENSTOCK_DATABASE_URL=settings.database_url,
        PENSTOCK_REDIS_URL=redis_url,
        **plan.environment,
    )

    def child(program: Program) -> Child:
        return Child(program, environment=environment, output=plan.output, report=plan.report)

    workers = range(1, plan.workers + 1)
    return Supervisor(
        [
            # At the same time: who waits at the API waits for the calls that the workers finish.
            [
                child(_api(settings)),
                *(child(_worker(f"worker {number}")) for number in workers),
            ],
            [child(_scheduler())],
        ]
    )


def _api(settings: Settings) -> Program:
    command = [sys.executable, "-m", "uvicorn", "api.main:app"]
    command += ["--host", settings.host, "--port", str(settings.port)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--no-server-header"]
    command += ["--log-level", "warning", "--timeout-graceful-shutdown", "10"]
    return Program("api", command, API_PATIENCE_S)


def _worker(name: str) -> Program:
    command = [sys.executable, "-m", "dramatiq", "workers.main", "--processes", "1"]
    command += ["--threads", "16", "--worker-shutdown-timeout", str(DRAIN_MS)]
    # The worker sets up its own logs; Dramatiq's would be of another form.
    command += ["--skip-logging"]
    return Program(name, command, WORKER_PATIENCE_S)


def _scheduler() -> Program:
    return Program("scheduler", [sys.executable, "-m", "workers.scheduler"], SCHEDULER_PATIENCE_S)


def _url(settings: Settings) -> str:
    host = ANYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
