"""The whole application in this process, over a real Redis and a fresh SQLite file; no worker."""

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from api.app import create_app
from shared import migrate
from shared.auth import issuing, store
from shared.auth.permissions import Role
from shared.database import Database
from shared.jobs import attempt_store, claim_store
from shared.jobs.claims import AttemptEnd, AttemptStart, ClaimEnd, Result
from shared.jobs.transitions import AttemptStatus, JobState
from shared.resources import secret_key
from shared.settings import Settings

CONFIG = """
[[deployments]]
name = "tiny"
provider = "sandbox"
model = "echo"
tpm = 100
"""
ADMIN_KEY = "an-administrators-key-for-the-tests"


@dataclass
class Api:
    """The application, its database, and clients with keys of two tenants."""

    settings: Settings
    database: Database
    client: httpx.AsyncClient
    viewer: httpx.AsyncClient
    stranger: httpx.AsyncClient

    async def submit(self, **asked: object) -> httpx.Response:
        """Submit a chat job, changed as asked."""
        body = {"model": "sandbox/echo", "messages": [{"role": "user", "content": "hello"}]}
        return await self.client.post(
            "/v1/jobs", json={"endpoint": "/v1/chat/completions", "body": body, **asked}
        )

    async def submitted(self, **asked: object) -> str:
        """Submit a job that must be accepted; return its id."""
        response = await self.submit(**asked)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    async def complete(
        self, job_id: str, result: Result, *, state: JobState = JobState.COMPLETED
    ) -> None:
        """Do what a worker does."""
        async with self.database.transaction() as db:
            (job,) = await claim_store.claim(db, [job_id], owner="w", lease_ms=60_000)
            await attempt_store.start_attempts(db, [AttemptStart(job, 1, "d", "lane", 0)], "w")
            end = ClaimEnd(
                job, state, result=result, attempts=[AttemptEnd(1, AttemptStatus.OK, 200)]
            )
            await attempt_store.end_attempts(db, [end], {job.claim})
            await claim_store.end_claims(db, [end])


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """What an application configures for its whole process must not outlive its test."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    (tmp_path / "penstock.toml").write_text(CONFIG)
    return Settings(
        data_dir=tmp_path,
        database_url=f"sqlite+aiosqlite:///{tmp_path / 'test.db'}",
        redis_url=redis_url,
        config=tmp_path / "penstock.toml",
        secret_key=SecretStr("the secret of the tests"),
        log_level="warning",
    )


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    database = Database(settings.database_url)
    await migrate.upgrade(database)
    secret = secret_key(settings)
    await issuing.bootstrap(database, secret, admin_key=ADMIN_KEY)
    async with database.transaction() as db:
        tenant = await store.ensure_tenant(db, id="unused", name="default", created_at=1)
        other = await store.ensure_tenant(db, id="ten_other", name="other", created_at=1)
    _, viewer = await issuing.issue(
        database, secret, tenant_id=tenant, name="viewer", role=Role.VIEWER
    )
    _, stranger = await issuing.issue(
        database, secret, tenant_id=other, name="stranger", role=Role.ADMIN
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"] = dict(state or {})
            await app(scope, receive, send)

        def client(key: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                transport=httpx.ASGITransport(serve),
                base_url="http://penstock",
                headers={"Authorization": f"Bearer {key}"},
            )

        made = Api(settings, database, client(ADMIN_KEY), client(viewer), client(stranger))
        yield made
        for each in (made.client, made.viewer, made.stranger):
            await each.aclose()
    await database.close()
