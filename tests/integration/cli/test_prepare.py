"""The database made ready, on both kinds: tables, tenant, and a key that works."""

import stat
from pathlib import Path

import pytest

from api.cli.configuration import admin_key_file, load_settings
from api.cli.errors import CommandError
from api.cli.prepare import prepare
from shared import migrate
from shared.auth.keyring import Keyring
from shared.auth.permissions import Role
from shared.database import Database
from shared.errors import Unauthenticated
from shared.resources import secret_key
from shared.settings import Settings


@pytest.fixture
def settings(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("PENSTOCK_ADMIN_KEY", raising=False)
    return load_settings(database_url=database_url, data_dir=tmp_path / "var")


async def role_of(settings: Settings, key: str) -> Role:
    database = Database(settings.database_url)
    keyring = Keyring(database, secret_key(settings))
    try:
        return (await keyring.authenticate(key)).role
    finally:
        await keyring.close()
        await database.close()


async def test_it_makes_tables_and_a_private_key_that_works(settings: Settings) -> None:
    assert await prepare(settings) is True

    file = admin_key_file(settings)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await role_of(settings, file.read_text().strip()) is Role.ADMIN
    database = Database(settings.database_url)
    assert await migrate.is_current(database)
    await database.close()


async def test_a_second_time_changes_nothing(settings: Settings) -> None:
    await prepare(settings)
    key = admin_key_file(settings).read_text()

    assert await prepare(settings) is False

    assert admin_key_file(settings).read_text() == key
    assert await role_of(settings, key.strip()) is Role.ADMIN


async def test_a_key_of_the_operator_is_taken_and_not_stored(settings: Settings) -> None:
    own = load_settings(
        database_url=settings.database_url,
        data_dir=settings.data_dir,
        admin_key="a-key-of-the-operator",
    )

    assert await prepare(own) is False

    assert not admin_key_file(own).exists()
    assert await role_of(own, "a-key-of-the-operator") is Role.ADMIN
    with pytest.raises(Unauthenticated):
        await role_of(own, "another-key-altogether")


async def test_a_key_that_is_too_short_is_one_line(settings: Settings) -> None:
    short = load_settings(
        database_url=settings.database_url, data_dir=settings.data_dir, admin_key="short"
    )

    with pytest.raises(CommandError, match="PENSTOCK_ADMIN_KEY"):
        await prepare(short)


async def test_a_database_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "penstock.db").write_text("no database at all " * 100)
    settings = load_settings(
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'penstock.db'}", data_dir=tmp_path
    )

    with pytest.raises(CommandError, match="cannot be used: file is not a database"):
        await prepare(settings)


async def test_a_wrong_password_is_not_repeated(tmp_path: Path) -> None:
    settings = load_settings(
        database_url="postgresql+asyncpg://someone:topsecret@127.0.0.1:1/x", data_dir=tmp_path
    )

    with pytest.raises(CommandError) as raised:
        await prepare(settings)

    assert "topsecret" not in str(raised.value)
    assert "someone" in str(raised.value)
