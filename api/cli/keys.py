"""`penstock keys`: create, list, revoke; with an administrator's key."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
import sys
from typing import Annotated, Any

import typer

from api.cli.options import Key, Url

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")

DAY_S = 24 * 3600


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    role: Annotated[str, typer.Option(help="admin, member or viewer.")] = "member",
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Whose key; made in the database of the settings.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a key and print it: it is shown this once."""
    if tenant is not None:
        from api.cli.tenants import make_key

        make_key(tenant, name, role, days)
        return
    body = {"name": name, "role": role, **({"expires_in_s": days * DAY_S} if days else {})}
    made = _ask("POST", "/v1/keys", url, key, json=body)
    print(f"{made['id']}, {made['role']}; the key is shown this once:", file=sys.stderr)
    print(made["key"])


@app.command("list")
def list_keys(url: Url = None, key: Key = None) -> None:
    """List the keys, newest first; never the keys themselves."""
    from api.cli.show import console, table

    found = _ask("GET", "/v1/keys", url, key, params={"limit": 100})
    names = ("id", "name", "role", "status", "prefix", "created_at", "expires_at", "last_used_at")
    rows = ([each[name] for name in names] for each in found["data"])
    console().print(table([name.removesuffix("_at") for name in names], rows))


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id: key_…")],
    url: Url = None,
    key: Key = None,
) -> None:
    """End a key, within seconds in every process."""
    from urllib.parse import quote

    ended = _ask("DELETE", f"/v1/keys/{quote(key_id, safe='')}", url, key)
    print(f"{ended['id']} is {ended['status']}")


def _ask(method: str, path: str, url: str | None, key: str | None, **rest: Any) -> dict[str, Any]:
    from api.cli.client import ask

    return ask(method, path, url=url, key=key, **rest)
