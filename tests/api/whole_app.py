"""The whole application over a migrated database and a Redis, and what a worker does, in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from shared import migrate
from shared.auth import issuing
from shared.auth.permissions import Role
from shared.jobs.transitions import Priority
from shared.processes import store as process_store
from shared.processes.store import Life
from shared.resources import Resources
from shared.settings import Settings
from workers.resources import open_worker_resources
from workers.runner import Runner

ADMIN_KEY = "an-administrators-key-of-the-default-tenant"


@dataclass
class WholeApp:
    """The running application; `client` is the administrator's, `state` what handlers are given."""

    settings: Settings
    resources: Resources
    app: ASGIApp
    client: httpx.AsyncClient
    tenant_id: str
    state: dict[str, Any] = field(default_factory=dict)

    def client_of(self, key: str | None) -> httpx.AsyncClient:
        """Return a client that shows this key."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://penstock", headers=headers)

    async def key(self, role: Role) -> str:
        """Return a new key of the tenant."""
        _, key = await issuing.issue(
            self.resources.database,
            self.resources.secret_key,
            tenant_id=self.tenant_id,
            name=f"a {role}",
            role=role,
        )
        return key

    async def submit(self, content: str, *, model: str = "sandbox/echo", **options: Any) -> str:
        """Submit a chat job; return its id."""
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        asked = {"endpoint": "/v1/chat/completions", "body": body, **options}
        reply = await self.client.post("/v1/jobs", json=asked)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["id"])

    async def work(self, *ids: str) -> None:
        """Do what a worker does with these jobs, to the end."""
        async with open_worker_resources(self.settings) as resources:
            runner = Runner(resources)
            runner.start()
            await runner.take(ids, Priority.STANDARD)
            await runner.drain(grace_s=30)

    async def lead(self, *, for_ms: int = 60_000) -> None:
        """Hold the scheduler's office."""
        async with self.resources.database.transaction() as db:
            assert await process_store.hold(db, "scheduler", "the-test", ttl_ms=for_ms)

    async def live(self, owner: str = "worker-1", **said: Any) -> None:
        """Give a worker's sign of life."""
        life = {"silent_ms": 0, "in_flight": 0, "draining": False, **said}
        async with self.resources.database.transaction() as db:
            await process_store.record_life(db, Life(owner=owner, host="here", pid=1, **life))


@asynccontextmanager
async def whole_app(
    folder: Path, *, database_url: str, redis_url: str, migrated: bool = True, **settings: Any
) -> AsyncIterator[WholeApp]:
    """Open the application as uvicorn does."""
    chosen = Settings(
        data_dir=folder,
        database_url=database_url,
        redis_url=redis_url,
        config=folder / "penstock.toml",
        secret_key=SecretStr("the secret of the tests"),
        **settings,
    )
    starlette = create_app(chosen)
    async with starlette.router.lifespan_context(starlette) as state:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = dict(state or {})
            await starlette(scope, receive, send)

        resources: Resources = (state or {})["resources"]
        made = WholeApp(chosen, resources, app, httpx.AsyncClient(), "", dict(state or {}))
        await made.client.aclose()
        made.client = made.client_of(ADMIN_KEY)
        if migrated:
            await migrate.upgrade(resources.database)
            await issuing.bootstrap(resources.database, resources.secret_key, admin_key=ADMIN_KEY)
            keyring = (state or {})["keyring"]
            made.tenant_id = (await keyring.authenticate(ADMIN_KEY)).tenant_id
        yield made
        await made.client.aclose()
