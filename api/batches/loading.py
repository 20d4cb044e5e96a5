"""Finding the batch that a path names."""

import structlog
from starlette.requests import Request

from shared.batches import store
from shared.database import Row
from shared.errors import NotFound


async def load_batch(request: Request, tenant_id: str, batch_id: str | None = None) -> Row:
    """Return a batch of the tenant: the one that the path names, unless another is given.

    Raises:
        NotFound: the tenant has no such batch, whoever else may have it.
    """
    wanted = request.path_params["batch_id"] if batch_id is None else batch_id
    async with request.state.resources.database.looking() as db:
        batch = await store.get(db, tenant_id, wanted) if wanted.isprintable() else None
    if batch is None:
        detail = f"There is no batch `{wanted[:64]}`."
        raise NotFound(detail, code="batch_not_found", param="batch_id")
    structlog.contextvars.bind_contextvars(batch_id=wanted)
    return batch
