"""`penstock tenants`: create, list, set; and keys for them. It works on the database of the settings."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from shared.database import Database
    from shared.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Make tenants, and say what they get.")

DAY_S = 24 * 3600
T = TypeVar("T")
Name = Annotated[str, typer.Argument(help="The tenant's name.")]
Weight = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Its share where several want more; 1 if not given."),
]
RetentionDays = Annotated[
    float | None,
    typer.Option(min=0, help="Days that its jobs and batches are kept after their end; 0: as all."),
]
Tier = Annotated[
    str | None,
    typer.Option(help="What routes call its kind, where they have `tiers`; '' for none."),
]
Regions = Annotated[
    str | None,
    typer.Option(help="The regions that its work never leaves, e.g. eu,us-east; '' for any."),
]


@app.command()
def create(
    name: Name,
    weight: Weight = None,
    retention_days: RetentionDays = None,
    tier: Tier = None,
    regions: Regions = None,
) -> None:
    """Make a tenant."""
    from shared.auth import tenants

    wanted = {"weight": weight or 1, **_changes(None, retention_days, tier, regions)}
    made = _do(lambda database, _: tenants.create(database, name=name, **wanted))
    print(f"{made['id']}: {_words(made)}")
    print(f"Its first key: penstock keys create NAME --role admin --tenant {name}", file=sys.stderr)


@app.command("list")
def list_tenants() -> None:
    """List the tenants by name."""
    from api.cli.show import console, table
    from shared.auth import tenants
    from shared.clock import rfc3339

    found = _do(lambda database, _: tenants.every(database))
    rows = (
        [
            row["id"],
            row["name"],
            row["weight"],
            _kept(row),
            row["tier"] or "",
            ", ".join(row["regions"] or ["any"]),
            rfc3339(row["created_at"]),
        ]
        for row in found
    )
    console().print(table(["id", "name", "weight", "kept", "tier", "regions", "created"], rows))


@app.command("set")
def set_tenant(
    name: Name,
    weight: Weight = None,
    retention_days: RetentionDays = None,
    tier: Tier = None,
    regions: Regions = None,
) -> None:
    """Change what a tenant gets; what is not named stays."""
    from shared.auth import tenants

    wanted = _changes(weight, retention_days, tier, regions)
    changed = _do(lambda database, _: tenants.change(database, name, wanted))
    print(f"{changed['id']}: {_words(changed)}")


def make_key(tenant: str, name: str, role: str, days: int | None) -> None:
    """Make a key for a tenant and print it.

    Raises:
        CommandError: there is no such tenant or role, or the database cannot be used.
    """
    from api.cli.errors import MISUSED, CommandError
    from shared.auth import issuing, tenants
    from shared.auth.permissions import Role
    from shared.clock import now_ms
    from shared.resources import secret_key

    if role not in list(Role):
        raise CommandError(f"--role is one of {', '.join(Role)}.", exit_code=MISUSED)
    expires_at = now_ms() + days * DAY_S * 1000 if days else None

    async def issue(database: "Database", settings: "Settings") -> tuple[Any, str]:
        found = await tenants.get(database, tenant)
        options = {"tenant_id": found["id"], "name": name, "expires_at": expires_at}
        return await issuing.issue(database, secret_key(settings), role=Role(role), **options)

    row, plain = _do(issue)
    print(f"{row.id}, {row.role} of {tenant}; the key is shown this once:", file=sys.stderr)
    print(plain)


def _changes(
    weight: int | None, retention_days: float | None, tier: str | None, regions: str | None
) -> dict[str, Any]:
    changes: dict[str, Any] = {} if weight is None else {"weight": weight}
    if retention_days is not None:
        changes["retention_s"] = round(retention_days * DAY_S) or None
    if tier is not None:
        changes["tier"] = tier.strip() or None
    if regions is not None:
        changes["regions"] = [each.strip() for each in regions.split(",") if each.strip()] or None
    return changes


def _words(tenant: Any) -> str:
    words = f"{tenant['name']}, weight {tenant['weight']}, kept {_kept(tenant)}"
    if tenant["tier"]:
        words += f", tier {tenant['tier']}"
    if tenant["regions"]:
        words += f", only in {', '.join(tenant['regions'])}"
    return words


def _kept(tenant: Any) -> str:
    seconds = tenant["retention_s"]
    return "as all" if seconds is None else f"{seconds / DAY_S:g} days"


def _do(act: "Callable[[Database, Settings], Awaitable[T]]") -> T:
    import asyncio

    from api.cli.configuration import load_settings
    from api.cli.database import DATABASE_ERRORS, open_database, shown_url
    from api.cli.errors import CommandError, first_line
    from shared.errors import PenstockError

    settings = load_settings()

    async def with_database() -> T:
        async with open_database(settings) as database:
            return await act(database, settings)

    try:
        return asyncio.run(with_database())
    except PenstockError as error:
        raise CommandError(error.detail) from error
    except DATABASE_ERRORS as error:
        words = f"{first_line(error)}. Has `penstock migrate` or `penstock up` been run?"
        raise CommandError(f"The database {shown_url(settings)} cannot be used: {words}") from error
