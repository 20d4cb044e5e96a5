"""Servers and databases for every test that asks: started once per pytest process, never skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.fakes.s3 import S3Double
from tests.servers import PostgresServer, RedisServer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make soak` ask for more lines than fit among the other tests."""
    parser.addoption("--soak-lines", default="2000", help="how many lines the soak has")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests of this process; a test may stop, kill and restart it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of a running, empty Redis."""
    server = redis_server
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
    return server.url


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Return a function that starts a Redis for one test: `start_redis(appendonly=True)`."""
    servers: list[RedisServer] = []

    def start(*, appendonly: bool = False) -> RedisServer:
        server = RedisServer(tmp_path / f"redis-{len(servers)}", appendonly=appendonly)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests of this process; a test may stop, kill and restart it."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    postgres_server.start()
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a database whose file is yet to be made."""
    return f"sqlite+aiosqlite:///{tmp_path / 'penstock.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: each test that asks runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Double]:
    """One double of S3 for all tests of this process; each makes buckets of its own."""
    double = S3Double(tmp_path_factory.mktemp("s3"))
    try:
        double.start()
        yield double
    finally:
        double.stop()
