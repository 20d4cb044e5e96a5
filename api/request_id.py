"""The outermost layer: an id and one log line for each request, and the last resort for errors."""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import REQUEST_ID, unexpected
from api.surfaces import Surface, surface_of
from shared.ids import new_id
from shared.telemetry.metrics import ApiMetrics

_ACCEPTED = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_HEADER = b"x-request-id"
_ANTHROPICS_HEADER = b"request-id"
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
log = structlog.get_logger()


class RequestIdMiddleware:
    """Pure ASGI, since every request pays for it.

    The id is the client's own `x-request-id` when that is short and plain, else a new one. It
    goes back in the response, into every log line of the request and into the body of an error.
    """

    def __init__(self, app: ASGIApp, metrics: ApiMetrics | None = None) -> None:
        self._app = app
        self._metrics = metrics or ApiMetrics()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(scope, send, self._metrics).run(self._app, receive)


class _Exchange:
    __slots__ = ("_id", "_metrics", "_scope", "_send", "_started", "_status")

    def __init__(self, scope: Scope, send: Send, metrics: ApiMetrics) -> None:
        self._scope = scope
        self._metrics = metrics
        self._send = send
        self._status = 0
        self._started = time.perf_counter()
        self._id = _request_id(scope)
        scope[REQUEST_ID] = self._id

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self._id)
        try:
            await app(self._scope, receive, self._forward)
        except Exception as error:
            response = unexpected(error, self._scope)
            if self._status:
                # The head is out: only a broken connection can tell the client now.
                raise
            await response(self._scope, receive, self._forward)
        finally:
            self._log()

    async def _forward(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            named = self._id.encode()
            message["headers"] = [*message.get("headers", ()), (_HEADER, named)]
            if surface_of(self._scope) is Surface.ANTHROPIC:
                message["headers"].append((_ANTHROPICS_HEADER, named))
        await self._send(message)

    def _log(self) -> None:
        scope = self._scope
        note = log.debug if scope["path"] in QUIET else log.info
        route = scope.get("route")
        # The template: real paths have ids in them, and strangers' paths anything at all.
        path = scope.get("root_path", "") + route.path if route is not None else None
        seconds = time.perf_counter() - self._started
        self._metrics.answered(scope["method"], path, self._status, seconds)
        note(
            "http.request",
            method=scope["method"],
            path=path,
            status=self._status,
            ms=round(seconds * 1000, 1),
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _ACCEPTED.fullmatch(value):
            return str(value, "ascii")
    return new_id("req")
