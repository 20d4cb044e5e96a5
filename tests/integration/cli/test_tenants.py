"""`penstock tenants`: an operator makes tenants, says what they get, and makes their first keys."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.cli import __main__ as command_line
from shared.auth.keyring import Keyring
from shared.auth.permissions import Principal, Role
from shared.database import Database
from shared.resources import secret_key
from shared.settings import Settings

Penstock = Callable[..., tuple[int, str, str]]


@pytest.fixture
def penstock(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    database_url: str,
) -> Penstock:
    """Return a function that runs a command on an empty database; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", database_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["penstock", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def migrated(penstock: Penstock) -> Penstock:
    assert penstock("migrate")[0] == 0
    return penstock


def test_a_tenant_has_a_tier_and_is_kept_to_regions(migrated: Penstock) -> None:
    made = migrated("tenants", "create", "acme", "--tier", "gold", "--regions", "eu, us-east")
    changed = migrated("tenants", "set", "acme", "--weight", "2")
    listed = migrated("tenants", "list")
    freed = migrated("tenants", "set", "acme", "--tier", "", "--regions", "")
    wrong = migrated("tenants", "set", "acme", "--regions", "eu west")

    assert made[1].endswith("acme, weight 1, kept as all, tier gold, only in eu, us-east\n")
    assert changed[1].endswith(", weight 2, kept as all, tier gold, only in eu, us-east\n")
    assert "gold" in listed[1]
    assert freed[1].endswith(": acme, weight 2, kept as all\n")
    assert (wrong[0], "`eu west` is no region" in wrong[2]) == (1, True)


def test_a_tenant_is_made_listed_and_changed(migrated: Penstock) -> None:
    code, out, err = migrated(
        "tenants", "create", "acme", "--weight", "3", "--retention-days", "0.5"
    )
    assert (code, out.split(": ")[1]) == (0, "acme, weight 3, kept 0.5 days\n")
    assert "--tenant acme" in err

    assert migrated("tenants", "set", "acme", "--weight", "5")[1].endswith(
        "acme, weight 5, kept 0.5 days\n"
    )
    assert migrated("tenants", "set", "acme", "--retention-days", "0")[1].endswith(
        "acme, weight 5, kept as all\n"
    )
    assert migrated("tenants", "set", "acme")[1].endswith("acme, weight 5, kept as all\n")
    code, out, _ = migrated("tenants", "list")
    assert code == 0
    assert "default" in out
    assert "acme" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tenants", "create", "default"), "There is a tenant named default."),
        (("tenants", "create", " "), "1 to 100 printable characters"),
        (("tenants", "set", "nobody", "--weight", "2"), "no tenant named nobody"),
        (("keys", "create", "k", "--tenant", "nobody"), "no tenant named nobody"),
        (("keys", "create", "k", "--tenant", "default", "--role", "king"), "--role is one of"),
    ],
)
def test_a_mistake_is_one_line(migrated: Penstock, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = migrated(*arguments)

    assert code != 0
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_an_empty_database_is_told_in_one_line(penstock: Penstock) -> None:
    code, _, err = penstock("tenants", "list")

    assert code == 1
    assert "penstock migrate" in err
    assert "Traceback" not in err


def test_a_key_of_a_tenant_works_for_it_alone(migrated: Penstock) -> None:
    made = migrated("tenants", "create", "acme")[1].partition(":")[0]
    code, key, err = migrated(
        "keys", "create", "first", "--tenant", "acme", "--role", "admin", "--days", "2"
    )
    assert code == 0
    assert "admin of acme" in err

    async def present() -> Principal:
        settings = Settings()
        database = Database(settings.database_url)
        keyring = Keyring(database, secret_key(settings))
        try:
            return await keyring.authenticate(key.strip())
        finally:
            await keyring.close()
            await database.close()

    who = asyncio.run(present())
    assert (who.tenant_id, who.role) == (made, Role.ADMIN)
