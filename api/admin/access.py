"""Who may say where models are had: the administrators of the operator's own tenant."""

from starlette.requests import Request

from api.auth import principal
from shared.auth import store
from shared.auth.model import DEFAULT_TENANT
from shared.auth.permissions import Permission
from shared.errors import Forbidden
from shared.resources import Resources


async def operator(request: Request) -> None:
    """Let an operator pass, and see to it that this process knows what is stored.

    Deployments are shared by all tenants, so another tenant's administrator is none.

    Raises:
        Unauthenticated: no key, or none that works.
        Forbidden: a key that may not do this.
    """
    who = await principal(request, Permission.CONFIG_MANAGE)
    resources: Resources = request.state.resources
    async with resources.database.looking() as db:
        own = await store.tenant(db, DEFAULT_TENANT)
    if own is None or own["id"] != who.tenant_id:
        detail = (
            "Deployments and routes are shared by all tenants: only an administrator's key of the"
            f" tenant `{DEFAULT_TENANT}` may see or change them."
        )
        raise Forbidden(detail, extra={"permission": Permission.CONFIG_MANAGE.value})
    await resources.watch.look(file=False)
