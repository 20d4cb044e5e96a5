"""The models as Mistral lists them: its clients insist on `type` and `capabilities`."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.known_models import Known

UNKNOWN = 0
CAPABLE = {
    "completion_chat": True,
    "function_calling": True,
    "completion_fim": False,
    "fine_tuning": False,
    "vision": True,
    "classification": False,
}
"""What may be asked for; whether a model can do it, its provider says when it is asked."""


def listing(_request: Request, models: Mapping[str, Known]) -> Response:
    """List all at once."""
    body = {"object": "list", "data": [*map(_model, models.values())]}
    return Response(orjson.dumps(body), media_type="application/json")


def one(model: Known) -> Response:
    """Return one."""
    return Response(orjson.dumps(_model(model)), media_type="application/json")


def _model(model: Known) -> dict[str, Any]:
    told = {
        "id": model.name,
        "object": "model",
        "created": UNKNOWN,
        "owned_by": model.owner,
        "name": model.name,
        "aliases": [],
        "capabilities": CAPABLE,
        "type": "base",
    }
    if model.context_tokens is not None:
        told["max_context_length"] = model.context_tokens
    return told
