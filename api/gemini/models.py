"""The models as Google lists them."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.gemini.generate import ACTS
from api.gemini.paging import page_of
from api.known_models import Known

DEFAULT_PAGE, MOST = 50, 1000


def listing(request: Request, models: Mapping[str, Known]) -> Response:
    """List a page of them."""
    names = [*models]
    shown, following = page_of(request, names, default=DEFAULT_PAGE, most=MOST)
    body: dict[str, Any] = {"models": [_model(models[name]) for name in shown]}
    if following is not None:
        body["nextPageToken"] = following
    return Response(orjson.dumps(body), media_type="application/json")


def one(model: Known) -> Response:
    """Return one."""
    return Response(orjson.dumps(_model(model)), media_type="application/json")


def _model(model: Known) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": f"models/{model.name}",
        "version": "",
        "displayName": model.name,
        "description": f"Served by {model.owner}.",
        "supportedGenerationMethods": [*ACTS],
    }
    if model.context_tokens is not None:
        told["inputTokenLimit"] = model.context_tokens
    return told
