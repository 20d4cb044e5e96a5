"""A mistake in the settings or in the operator's file is one line that names it."""

from pathlib import Path

import pytest

from api.cli.configuration import (
    load_settings,
    read_admin_key,
    read_catalog,
    service_url,
    told_where,
    uses_embedded_redis,
)
from api.cli.errors import MISUSED, CommandError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "PENSTOCK_REDIS_URL",
        "PENSTOCK_ADMIN_KEY",
        "PENSTOCK_CONFIG",
        "PENSTOCK_HOST",
        "PENSTOCK_PORT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path))


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", "eighty")

    with pytest.raises(CommandError, match="PENSTOCK_PORT") as raised:
        load_settings()

    assert raised.value.exit_code == MISUSED
    assert "\n" not in str(raised.value)


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_PORT", "81")

    assert load_settings(port=82, host=None).port == 82
    assert load_settings(port=None).port == 81


def test_redis_is_embedded_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert uses_embedded_redis(load_settings())

    monkeypatch.setenv("PENSTOCK_REDIS_URL", "redis://127.0.0.1:6379/0")

    assert not uses_embedded_redis(load_settings())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("deployments = [", "not valid TOML"),
        ("[[deployments]]\nname = 'a'", "deployments.0.provider"),
        ("[[routes]]\nmodel = 'a'\ndeployments = ['b']", "not configured"),
    ],
)
def test_a_wrong_file_is_named(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text(text)
    monkeypatch.setenv("PENSTOCK_CONFIG", str(path))

    with pytest.raises(CommandError, match=words) as raised:
        read_catalog(load_settings())

    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_key_is_the_setting_or_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_admin_key(load_settings()) is None

    (tmp_path / "admin.key").write_text("pk_stored\n")
    assert read_admin_key(load_settings()) == "pk_stored"

    monkeypatch.setenv("PENSTOCK_ADMIN_KEY", "pk_of_the_setting")
    assert read_admin_key(load_settings()) == "pk_of_the_setting"


def test_the_commands_of_a_folder_find_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()

    assert service_url(settings) == "http://127.0.0.1:8000"
    with told_where(settings, "http://127.0.0.1:18473"):
        assert service_url(settings) == "http://127.0.0.1:18473"
        monkeypatch.setenv("PENSTOCK_PORT", "81")
        assert service_url(load_settings()) == "http://127.0.0.1:81", "what is named wins"
    assert service_url(settings) == "http://127.0.0.1:8000"
