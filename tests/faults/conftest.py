"""A running service for each kind of database; every test leaves it as it found it, or it is thrown away."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.processes import NurseryClient
from tests.faults.service import Service, running_service
from tests.faults.stores import KilledServer, LockedFile, Store
from tests.servers import PostgresServer

FAILED = pytest.StashKey[bool]()
KINDS = ("sqlite", "postgres")


class Services:
    """Starts a service on first use, and a new one after a test has failed on it."""

    def __init__(self, folders: pytest.TempPathFactory, postgres: PostgresServer) -> None:
        self._folders = folders
        self._postgres = postgres
        self._nursery: NurseryClient | None = None
        self._running: dict[str, tuple[ExitStack, Service]] = {}

    def get(self, kind: str) -> Service:
        """Return the service on this kind of database; the one on the other kind is ended."""
        for other in KINDS:
            if other != kind:
                self.discard(other)
        if kind not in self._running:
            self._nursery = self._nursery or NurseryClient()
            stack = ExitStack()
            service = stack.enter_context(self._service(kind, self._nursery))
            self._running[kind] = (stack, service)
        return self._running[kind][1]

    def discard(self, kind: str) -> None:
        """End the service on this kind of database, if there is one."""
        if kind in self._running:
            self._running.pop(kind)[0].close()

    def close(self) -> None:
        """End everything."""
        for kind in KINDS:
            self.discard(kind)
        if self._nursery is not None:
            self._nursery.close()

    @contextmanager
    def _service(self, kind: str, nursery: NurseryClient) -> Iterator[Service]:
        folder = self._folders.mktemp(f"faults-{kind}")
        with self._database(kind, folder) as url, running_service(nursery, folder, url) as service:
            yield service

    @contextmanager
    def _database(self, kind: str, folder: Path) -> Iterator[str]:
        if kind == "sqlite":
            yield f"sqlite+aiosqlite:///{folder / 'penstock.db'}"
            return
        name = self._postgres.create_database()
        yield self._postgres.url(name)
        self._postgres.drop_database(name)


@pytest.fixture(scope="session")
def services(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Services]:
    """The services of this pytest process."""
    every = Services(tmp_path_factory, postgres_server)
    yield every
    every.close()


@pytest.fixture(params=KINDS)
def service(request: pytest.FixtureRequest, services: Services) -> Iterator[Service]:
    """A running service with nothing to do: each test that asks runs on both databases."""
    running = services.get(request.param)
    running.tidy()
    yield running
    if request.node.stash.get(FAILED, False):
        print(running.last_words())  # noqa: T201 - pytest shows it with the failure
        services.discard(request.param)


@pytest.fixture
def store(service: Service, postgres_server: PostgresServer) -> Iterator[Store]:
    """The database under the service, to be taken away."""
    if service.sql.kind == "sqlite":
        file = LockedFile(service.database_url.split(":///")[1])
        yield file
        file.close()
    else:
        server = KilledServer(postgres_server)
        yield server
        server.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure for the fixture that cleans up behind it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report
