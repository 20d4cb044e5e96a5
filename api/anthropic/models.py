"""`/v1/models` in Anthropic's shape; who may see which models is decided before."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.anthropic.pages import page, read_span, unknown_place
from api.known_models import Known

UNKNOWN = "1970-01-01T00:00:00Z"
"""When a model was released nobody tells us; Anthropic itself writes this then."""


def listing(request: Request, known: Mapping[str, Known]) -> Response:
    """Return the part of the models that the query asks for.

    Raises:
        BadRequest: the query is not what it should be.
    """
    span, names = read_span(request), list(known)
    first, end = 0, len(names)
    if span.after_id is not None:
        first = _place(names, span.after_id, "after_id") + 1
    if span.before_id is not None:
        end = _place(names, span.before_id, "before_id")
        first = max(0, end - span.limit)
    shown = [_model(known[name]) for name in names[first:end][: span.limit]]
    more = first > 0 if span.before_id is not None else first + span.limit < end
    return _json(page(shown, more=more))


def one(model: Known) -> Response:
    """Return one model."""
    return _json(_model(model))


def _place(names: Sequence[str], name: str, param: str) -> int:
    if name not in names:
        raise unknown_place(param)
    return names.index(name)


def _model(model: Known) -> dict[str, Any]:
    return {
        "type": "model",
        "id": model.name,
        "display_name": model.name,
        "created_at": UNKNOWN,
        "lifecycle": "active",
        "max_input_tokens": model.context_tokens,
        "max_tokens": None,
    }


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
