"""The doctor in front of real servers that are set up wrongly."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from api.cli import live
from api.cli.configuration import load_settings
from api.cli.database import open_database
from api.cli.doctor import examine, run
from api.cli.finding import Level
from api.cli.prepare import prepare
from shared.database import Database
from shared.processes import store
from shared.processes.store import Life
from shared.routing import store as routing_store
from shared.routing.sealing import KeyBox, Secrets
from shared.routing.stored_model import StoredDeployment
from tests.servers import RedisServer, free_port

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL


@pytest.fixture(scope="module")
def kept_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis as it must be."""
    server = RedisServer(tmp_path_factory.mktemp("kept"), appendonly=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Return a function that sets the environment that the doctor looks at."""
    for name in ("REDIS_URL", "DATABASE_URL", "CONFIG", "ADMIN_KEY"):
        monkeypatch.delenv(f"PENSTOCK_{name}", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"PENSTOCK_{name.upper()}", value)

    return set_all


async def levels() -> dict[str, Level]:
    """Return the worst that was found of each part."""
    worst: dict[str, Level] = {}
    async for found in examine():
        levels = (worst.get(found.part, OK), found.level)
        worst[found.part] = max(levels, key=list(Level).index)
    return worst


async def words(part: str) -> str:
    return " ".join([found.words async for found in examine() if found.part == part])


async def staff(*, silent_ms: int = 0, leader: bool = True, host: str = "here") -> None:
    """Write the signs of life of a worker and of a leader."""
    database = Database(load_settings().database_url)
    async with database.transaction() as db:
        life = Life("worker-1", host, 1, silent_ms, in_flight=3, draining=False)
        await store.record_life(db, life)
        if leader:
            await store.hold(db, "scheduler", "me", ttl_ms=60_000)
    await database.close()


async def test_all_is_well(
    configure: Callable[..., None], kept_redis: RedisServer, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "eng.traineddata").touch()
    configure(redis_url=kept_redis.url, database_url=database_url, tessdata_dir=str(tmp_path))
    await prepare(load_settings())
    await staff()

    found = await levels()

    assert {part for part, level in found.items() if level is not OK} == {"providers"}
    assert found["providers"] is WARN
    assert {"redis clock", "database clock", "blob store", "migrations", "workers"} <= set(found)


async def test_text_in_pictures(configure: Callable[..., None], tmp_path: Path) -> None:
    configure(tessdata_dir=str(tmp_path))
    assert (await levels())["scans"] is FAIL

    (tmp_path / "eng.traineddata").touch()
    assert (await levels())["scans"] is OK


async def test_no_migrations(
    configure: Callable[..., None], kept_redis: RedisServer, database_url: str
) -> None:
    configure(redis_url=kept_redis.url, database_url=database_url)
    database = Database(database_url)
    async with database.transaction():
        pass
    await database.close()

    assert (await levels())["migrations"] is FAIL
    assert "penstock migrate" in await words("migrations")


async def test_another_secret_key(
    configure: Callable[..., None], database_url: str, tmp_path: Path
) -> None:
    configure(database_url=database_url)
    await prepare(load_settings())
    assert (await levels())["secret key"] is OK
    configure(secret_key="another one than before")
    assert "API keys were made with another one" in await words("secret key")
    (tmp_path / "var" / "admin.key").unlink()
    row = {"name": "own", "written": {}, "created_at": 0, "updated_at": 0}
    sealed = KeyBox(b"a third one").seal("own", Secrets(("sk-1",)))
    async with open_database(load_settings()) as database, database.transaction() as db:
        await routing_store.put(db, StoredDeployment, {**row, "sealed": sealed})
    assert "stored keys of own" in await words("secret key")


async def test_nobody_at_work(
    configure: Callable[..., None], kept_redis: RedisServer, database_url: str
) -> None:
    configure(redis_url=kept_redis.url, database_url=database_url)
    await prepare(load_settings())

    found = await levels()

    assert found["scheduler"] is FAIL
    assert found["workers"] is FAIL


async def test_a_worker_that_lives_and_does_not_consume(
    configure: Callable[..., None], kept_redis: RedisServer, sqlite_url: str
) -> None:
    configure(redis_url=kept_redis.url, database_url=sqlite_url)
    await prepare(load_settings())
    await staff(silent_ms=60_000)

    assert (await levels())["workers"] is FAIL
    assert "do not reach the broker" in await words("workers")


async def test_a_redis_without_a_log(
    configure: Callable[..., None], redis_url: str, sqlite_url: str
) -> None:
    configure(redis_url=redis_url, database_url=sqlite_url)

    found = await levels()

    assert found["redis log"] is FAIL
    assert found["redis memory"] is OK


async def test_a_redis_that_evicts(
    configure: Callable[..., None], start_redis: Callable[..., RedisServer], sqlite_url: str
) -> None:
    server = start_redis(appendonly=True)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    configure(redis_url=server.url, database_url=sqlite_url)

    found = await levels()

    assert found["redis memory"] is FAIL
    assert found["redis log"] is OK
    assert "allkeys-lru" in await words("redis memory")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:{port}/0", "nonsense"])
async def test_a_redis_that_is_not_there(
    configure: Callable[..., None], sqlite_url: str, url: str
) -> None:
    configure(redis_url=url.format(port=free_port()), database_url=sqlite_url)

    assert (await levels())["redis"] is FAIL


async def test_a_database_that_is_not_there(
    configure: Callable[..., None], kept_redis: RedisServer
) -> None:
    address = f"127.0.0.1:{free_port()}/penstock"
    configure(redis_url=kept_redis.url, database_url=f"postgresql+asyncpg://me:topsecret@{address}")

    assert (await levels())["database"] is FAIL
    assert "topsecret" not in await words("database")


def test_looking_makes_no_database(
    configure: Callable[..., None], kept_redis: RedisServer, sqlite_url: str, tmp_path: Path
) -> None:
    configure(redis_url=kept_redis.url, database_url=sqlite_url)

    assert asyncio.run(levels())["database"] is FAIL
    assert not (tmp_path / "penstock.db").exists()


async def test_the_embedded_default_before_the_first_start(
    configure: Callable[..., None],
) -> None:
    configure()

    found = await levels()

    assert FAIL not in found.values()
    assert found["redis"] is WARN
    assert found["database"] is WARN


async def test_a_wrong_configuration_file(configure: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text("[[deployments]]\nname = 'a'\n")
    configure()

    assert (await levels())["configuration"] is FAIL
    assert "deployments.0.provider" in await words("configuration")


async def test_a_wrong_setting_ends_the_examination(configure: Callable[..., None]) -> None:
    configure(port="eighty")

    assert await levels() == {"python": OK, "settings": FAIL}


async def test_a_full_disk(configure: Callable[..., None]) -> None:
    configure(min_free_disk_bytes=str(2**62))

    assert (await levels())["data folder"] is FAIL


async def test_a_data_folder_that_is_a_file(configure: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    configure(data_dir=str(tmp_path / "file"))

    assert (await levels())["data folder"] is FAIL


def test_the_exit_code_tells(
    configure: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    assert run() == 0
    assert "ok    python" in capsys.readouterr().out

    configure(min_free_disk_bytes=str(2**62))
    assert run() == 1
    assert "fail  data folder" in capsys.readouterr().out


def test_live_needs_tables(
    configure: Callable[..., None], sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(database_url=sqlite_url)

    assert live.run("worker") == 1
    assert "cannot be asked" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "silent_ms", "problem"),
    [
        ("here", 100, None),
        ("here", 60_000, "The worker of this host lives and does not reach the broker."),
        ("elsewhere", 100, "No worker of this host was seen lately."),
    ],
)
async def test_live_asks_for_a_worker_of_this_host(
    *,
    host: str,
    silent_ms: int,
    problem: str | None,
    configure: Callable[..., None],
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    configure(database_url=database_url)
    await prepare(load_settings())
    await staff(host=host, silent_ms=silent_ms)

    assert await live.look(load_settings(), "worker") == problem


async def test_live_asks_for_a_leader(configure: Callable[..., None], database_url: str) -> None:
    configure(database_url=database_url)
    await prepare(load_settings())
    await staff(leader=False)

    assert await live.look(load_settings(), "scheduler") == "No scheduler leads."

    await staff(leader=True)

    assert await live.look(load_settings(), "scheduler") is None
