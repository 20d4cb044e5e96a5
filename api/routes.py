"""The map: every path of the API, from the module that answers it. Read this first."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from api import (
    documents,
    files,
    health,
    job_events,
    jobs,
    keys,
    models,
    openapi,
)
from api.admin import config as admin_config
from api.admin import deployments as admin_deployments
from api.admin import routes as admin_routes
from api.anthropic import batches as message_batches
from api.anthropic import messages
from api.batches import acts as batch_acts
from api.batches import append as batch_append
from api.batches import create as batch_create
from api.batches import events as batch_events
from api.batches import results as batch_results
from api.by_surface import by_surface
from api.gemini import batches as gemini_batches
from api.gemini import generate
from api.mistral import routes as mistral
from api.openai import chat, completions, embeddings
from api.openai.responses import create as responses_create
from api.openai.responses import retrieve as responses_retrieve
from api.surfaces import Surface
from api.webhooks import deliveries, endpoints, secret, trial


def also_under(prefix: str, routes: Sequence[Route]) -> list[Route]:
    """Return the same routes once more, behind a prefix that a client's base URL may have."""
    return [
        Route(f"{prefix}{each.path}", each.endpoint, methods=list(each.methods or ()))
        for each in routes
    ]


shared_routes = by_surface(
    [*chat.routes, *embeddings.routes, *models.routes, *files.routes],
    {Surface.MISTRAL: mistral.routes},
)
"""What the clients of several vendors call, each in its own words."""

googles = {Surface.GEMINI: gemini_batches.shared_routes}
openai_routes = [
    *shared_routes,
    *completions.routes,
    *responses_create.routes,
    *responses_retrieve.routes,
    *batch_create.routes,
    *by_surface(batch_acts.openai_routes, googles),
    *endpoints.routes,
    *trial.routes,
    *deliveries.recover_routes,
]
"""What OpenAI's SDKs call: under `/v1` and under `/openai/v1`."""

anthropic_routes = [*messages.routes, *message_batches.routes]
"""What Anthropic's SDKs call: under `/v1` and under `/anthropic/v1`."""

gemini_routes = [*generate.routes, *models.beta_routes, *gemini_batches.routes]
"""What Google's SDKs call: under `/v1beta` and `/v1`, and behind `/gemini`."""

routes: list[BaseRoute] = [
    *jobs.routes,
    *job_events.routes,
    *documents.routes,
    *batch_append.routes,
    *by_surface(batch_acts.routes, googles),
    *batch_results.routes,
    *batch_events.routes,
    *openai_routes,
    *also_under("/openai", openai_routes),
    *anthropic_routes,
    *also_under("/anthropic", [*anthropic_routes, *models.routes]),
    *gemini_routes,
    *also_under("/gemini", [*gemini_routes, *models.routes, *gemini_batches.shared_routes]),
    *mistral.own_routes,
    *also_under("/mistral", [*shared_routes, *mistral.own_routes]),
    *deliveries.routes,
    *secret.routes,
    *keys.routes,
    *admin_deployments.routes,
    *admin_routes.routes,
    *admin_config.routes,
    *health.routes,
    *openapi.routes,
]
