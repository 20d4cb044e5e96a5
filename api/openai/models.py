"""The models as OpenAI lists them."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.known_models import Known

UNKNOWN = 0


def listing(_request: Request, models: Mapping[str, Known]) -> Response:
    """List all at once."""
    body = {"object": "list", "data": [*map(_model, models.values())]}
    return Response(orjson.dumps(body), media_type="application/json")


def one(model: Known) -> Response:
    """Return one."""
    return Response(orjson.dumps(_model(model)), media_type="application/json")


def _model(model: Known) -> dict[str, Any]:
    # When a model was made nobody tells us, and the field must be there.
    return {"id": model.name, "object": "model", "created": UNKNOWN, "owned_by": model.owner}
