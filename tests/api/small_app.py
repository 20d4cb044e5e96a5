"""The edge of the API over real parts: a database, a blob folder and two tenants with their keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import files, keys
from api.errors import HANDLERS
from api.request_id import RequestIdMiddleware
from shared.auth import issuing, store
from shared.auth.keyring import Keyring
from shared.auth.permissions import Role
from shared.resources import Resources, open_resources
from shared.settings import Settings
from shared.tables import metadata

ADMIN_KEY = "an-administrators-key-of-the-default-tenant"


def application(routes: list[BaseRoute], state: dict[str, Any] | None = None) -> ASGIApp:
    """Return the routes behind our middleware and handlers, with the state that a lifespan gives."""
    starlette = Starlette(
        routes=routes,
        middleware=[Middleware(RequestIdMiddleware)],
        exception_handlers=HANDLERS,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = dict(state or {})
        await starlette(scope, receive, send)

    return app


def client(app: ASGIApp, key: str | None = None) -> httpx.AsyncClient:
    """Return a client that speaks to the application in this process."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://penstock", headers=headers
    )


@dataclass
class World:
    """Everything that a test of the edge needs; `mine` and `theirs` are members of two tenants."""

    resources: Resources
    keyring: Keyring
    app: ASGIApp
    tenant_id: str
    other_tenant_id: str
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def key(self, role: Role, *, tenant_id: str | None = None) -> str:
        """Return a new key."""
        _, key = await issuing.issue(
            self.resources.database,
            self.resources.secret_key,
            tenant_id=tenant_id or self.tenant_id,
            name=f"a {role}",
            role=role,
        )
        return key

    def blobs(self) -> list[Path]:
        """Return the files in the blob store."""
        folder = self.resources.settings.data_dir / "blobs"
        return [each for each in folder.rglob("*") if each.is_file()]


@asynccontextmanager
async def world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """Open everything over a fresh SQLite file in `folder`."""
    chosen = Settings(
        data_dir=folder,
        database_url=f"sqlite+aiosqlite:///{folder / 'test.db'}",
        config=folder / "none.toml",
        secret_key=SecretStr("the secret of the tests"),
        **settings,
    )
    async with open_resources(chosen) as resources:
        async with resources.database.transaction() as db:
            await db.run_sync(metadata.create_all)
        await issuing.bootstrap(resources.database, resources.secret_key, admin_key=ADMIN_KEY)
        keyring = Keyring(resources.database, resources.secret_key)
        state = {"resources": resources, "keyring": keyring}
        async with resources.database.transaction() as db:
            other = await store.ensure_tenant(db, id="ten_other", name="other", created_at=1)
        admin = await keyring.authenticate(ADMIN_KEY)
        app = application([*files.routes, *keys.routes], state)
        made = World(resources, keyring, app, admin.tenant_id, other)
        mine, theirs = await made.key(Role.MEMBER), await made.key(Role.MEMBER, tenant_id=other)
        named = {"mine": mine, "theirs": theirs, "admin": ADMIN_KEY, "nobody": None}
        made.clients = {name: client(app, key) for name, key in named.items()}
        yield made
        for each in made.clients.values():
            await each.aclose()
        await keyring.close()
