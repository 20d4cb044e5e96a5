"""The application: routes, middleware, error handlers, and nothing global."""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from api.errors import HANDLERS
from api.lifespan import lifespan
from api.request_id import RequestIdMiddleware
from api.routes import routes
from shared import failpoints, open_files
from shared.settings import Settings
from shared.telemetry import logs, multiprocess
from shared.telemetry.metrics import ApiMetrics


def create_app(settings: Settings) -> Starlette:
    """Build the API for these settings; what it needs opens with its lifespan."""
    logs.configure(settings.log_level, settings.log_format)
    multiprocess.share(settings.data_dir / "metrics")
    failpoints.arm(settings.failpoint)
    open_files.raise_limit()
    metrics = ApiMetrics()
    return Starlette(
        routes=routes,
        middleware=[Middleware(RequestIdMiddleware, metrics=metrics)],
        exception_handlers=HANDLERS,
        lifespan=lifespan(settings, metrics),
    )
