"""What can go wrong, as one tree that knows its HTTP status.

PenstockError
├── BadRequest        400  the request is not understood: which field, which limit, what to do
├── Unauthenticated   401  no key, or not one of ours
├── Forbidden         403  a good key whose role may not do this
├── NotFound          404  no such thing in this tenant
├── Conflict          409  the thing is not in a state that allows this
├── Gone              410  it existed and was deleted
├── TooLarge          413  larger than the limit that the message names
├── Unprocessable     422  understood, but it contradicts what is stored
├── LimitExceeded     429  a limit of the tenant; `retry_after_s` says when to come back
└── Unavailable       503  a limit of the service, or a part of it that is down
"""

from collections.abc import Mapping

from pydantic import JsonValue


class PenstockError(Exception):
    """An error that a client may see: its words never tell of internals.

    `param` names the offending field, `retry_after_s` is in seconds, `extra` holds numbers
    (`limit`, `current`) that a client may act on.
    """

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        extra: Mapping[str, JsonValue] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.param = param
        self.retry_after_s = retry_after_s
        self.extra: dict[str, JsonValue] = dict(extra or {})


class BadRequest(PenstockError):
    """The request is not understood."""

    status, code, title = 400, "invalid_request", "Invalid request"


class Unauthenticated(PenstockError):
    """No key, or not one of ours."""

    status, code, title = 401, "invalid_api_key", "Not authenticated"


class Forbidden(PenstockError):
    """A good key whose role may not do this."""

    status, code, title = 403, "permission_denied", "Permission denied"


class NotFound(PenstockError):
    """No such thing in this tenant; what another tenant owns looks just the same."""

    status, code, title = 404, "not_found", "Not found"


class Conflict(PenstockError):
    """The thing is not in a state that allows this."""

    status, code, title = 409, "conflict", "Conflict"


class Gone(PenstockError):
    """It existed and was deleted."""

    status, code, title = 410, "gone", "Deleted"


class TooLarge(PenstockError):
    """Larger than the limit that the message names."""

    status, code, title = 413, "too_large", "Too large"


class Unprocessable(PenstockError):
    """Understood, but it contradicts what is stored."""

    status, code, title = 422, "unprocessable", "Unprocessable"


class LimitExceeded(PenstockError):
    """A limit of the tenant."""

    status, code, title = 429, "limit_exceeded", "Limit exceeded"


class Unavailable(PenstockError):
    """A limit of the service, or a part of it that is down."""

    status, code, title = 503, "service_unavailable", "Service unavailable"


OF_JOB = ("job_id", "job_status", "job_status_reason")


def openai_error(error: PenstockError) -> dict[str, JsonValue]:
    """Return the error as OpenAI's SDKs expect it."""
    return {
        "message": error.detail,
        "type": _OPENAI_TYPES.get(error.status, "invalid_request_error"),
        "param": error.param,
        "code": error.code,
        **of_job(error),
    }


def of_job(error: PenstockError) -> dict[str, JsonValue]:
    """Return what an error says of the job that it is about: its id, status, and why."""
    return {name: error.extra[name] for name in OF_JOB if name in error.extra}


_OPENAI_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "service_unavailable_error",
    504: "server_error",
}
