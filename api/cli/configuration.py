"""The settings and the operator's file, read so that a mistake in them is told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from api.cli.errors import MISUSED, CommandError, first_line
from shared.resources import open_catalog
from shared.routing.catalog import Catalog
from shared.routing.problem import ConfigError
from shared.settings import Settings

ADMIN_KEY_FILE, URL_FILE = "admin.key", "service.url"


def load_settings(**changes: Any) -> Settings:
    """Read the environment; what the command line says (None: nothing) wins over it.

    Raises:
        CommandError: a setting is wrong; the line names its variable.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        variable = "PENSTOCK_" + str(first["loc"][0] if first["loc"] else "").upper()
        message = f"The setting {variable} is wrong: {first['msg']}."
    except SettingsError as error:
        message = f"A setting is wrong: {first_line(error)}."
    raise CommandError(message, exit_code=MISUSED)


def read_catalog(settings: Settings) -> Catalog:
    """Read the operator's file.

    Raises:
        CommandError: it cannot be read, or says what cannot be; the line says where.
    """
    try:
        return open_catalog(settings)
    except (ConfigError, OSError) as error:
        words = str(error.problem) if isinstance(error, ConfigError) else first_line(error)
        message = f"The configuration {settings.config} cannot be used: {words}."
        raise CommandError(message) from error


def uses_embedded_redis(settings: Settings) -> bool:
    """Tell whether nobody named a Redis, so that `up` brings its own."""
    return "redis_url" not in settings.model_fields_set


def admin_key_file(settings: Settings) -> Path:
    """Return where `up` keeps the administrator's key that it made."""
    return settings.data_dir / ADMIN_KEY_FILE


def service_url(settings: Settings) -> str:
    """Return where the service of these settings is: where `up` says that it listens, if it does."""
    named = f"http://{settings.host}:{settings.port}"
    if not settings.model_fields_set.isdisjoint({"host", "port"}):
        return named
    try:
        return (settings.data_dir / URL_FILE).read_text("utf-8").strip()
    except OSError:
        return named


@contextmanager
def told_where(settings: Settings, url: str) -> Iterator[None]:
    """Leave the URL for the commands of this folder while this lasts."""
    file = settings.data_dir / URL_FILE
    file.write_text(f"{url}\n", "utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def read_admin_key(settings: Settings) -> str | None:
    """Return the administrator's key: the setting, or what `up` has stored; None if neither is there."""
    if settings.admin_key is not None:
        return settings.admin_key.get_secret_value()
    try:
        return admin_key_file(settings).read_text("utf-8").strip() or None
    except OSError:
        return None
