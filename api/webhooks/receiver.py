"""What is made sure of when a receiver is named: that it may be sent to, and that there is a secret."""

from shared.database import Database, Row
from shared.errors import BadRequest
from shared.settings import Settings
from shared.webhooks import store
from shared.webhooks.egress import BlockedUrl, check_url
from shared.webhooks.secrets import SecretBox


def check_receiver(url: str, settings: Settings, *, param: str) -> None:
    """Refuse a URL to which nothing is ever sent; where its name leads is judged at each send.

    Raises:
        BadRequest: the message says why.
    """
    try:
        check_url(url, allow_private=settings.webhook_allow_private)
    except BlockedUrl as error:
        detail = f"`{param}` cannot be used. {error}"
        raise BadRequest(detail, param=param, code="invalid_webhook_url") from error


async def ensure_secret(database: Database, tenant_id: str, box: SecretBox) -> Row:
    """Return the tenant's sealed secrets for single jobs; only their making is a transaction."""
    async with database.reading() as db:
        row = await store.secret_of(db, tenant_id)
    if row is not None:
        return row
    async with database.transaction() as db:
        return await store.ensure_secret(db, tenant_id, box)
