"""From the headers of a request to the principal that it acts for."""

import structlog
from starlette.requests import Request

from api.surfaces import Surface, surface_of
from shared.auth.permissions import Permission, Principal
from shared.errors import Unauthenticated

_HEADERS = ("x-api-key", "x-goog-api-key")


async def principal(request: Request, permission: Permission) -> Principal:
    """Return who asks, if they may do this; call it before anything of the body is read.

    Raises:
        Unauthenticated: no key, or none that works.
        Forbidden: a good key whose role may not do this.
    """
    who: Principal = await request.state.keyring.authenticate(presented_key(request))
    structlog.contextvars.bind_contextvars(tenant_id=who.tenant_id)
    who.require(permission)
    return who


def presented_key(request: Request) -> str:
    """Return the key that the request shows.

    Raises:
        Unauthenticated: it shows none.
    """
    authorization = request.headers.get("authorization", "")
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    for name in _HEADERS:
        if value := request.headers.get(name, "").strip():
            return value
    if surface_of(request.scope) is Surface.GEMINI and (value := _in_query(request)):
        return value
    detail = "There is no API key in the request: send `Authorization: Bearer pk_…`."
    if scheme.startswith("pk_") or (scheme and not credentials and scheme.lower() != "bearer"):
        # It may be the key itself: it is not repeated.
        detail = "`Authorization` has no scheme: write `Bearer` before the key."
    elif scheme and scheme.lower() != "bearer":
        detail = f"`Authorization: {scheme[:20]} …` is not understood: send `Bearer pk_…`."
    raise Unauthenticated(detail, code="missing_api_key")


def _in_query(request: Request) -> str:
    # As Google's REST interface takes it; no log of ours has a query.
    return request.query_params.get("key", "").strip()
