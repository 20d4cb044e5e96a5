"""How a call to a provider can fail, as one tree.

ProviderError
├── passing: the same call may succeed later or elsewhere
│   ├── RateLimited      429; `retry_after_s` if the provider said so       waits, no attempt used
│   ├── Overloaded       503, 529: the provider has no room                 waits, no attempt used
│   ├── QuotaExhausted   402, 429 about money: pause the lane, tell someone waits, no attempt used
│   ├── Timeout          it did not answer, or not to the end, in time      uses an attempt
│   ├── Unavailable      not reached, cut off, or 5xx                       uses one if it was sent
│   └── Malformed        a 200 that is no answer                            uses an attempt
└── final: the same call fails again
    ├── BadRequest       400, 413, 422
    ├── ContextTooLong   more tokens than the model takes
    ├── ContentFiltered  refused for its content
    ├── AuthFailed       401, 403: the credential is wrong: pause the lane
    ├── ModelNotFound    404
    ├── CannotDo         it has no words for what is asked: another provider may
    └── ResultTooLarge   the answer is larger than we keep
"""

from http import HTTPStatus

from shared.inference.response import LimitFeedback
from shared.inference.usage import Usage

MAX_BODY = 64 * 1024

# Answers that come from a gateway which had already passed the call on.
LOST_BEHIND_GATEWAY = frozenset({408, 502, 504, 520, 522, 524})


class ProviderError(Exception):
    """A failed call.

    `sent` is False only if the request certainly never reached the provider. `body` is the raw
    answer, at most 64 KB; `usage` is what the provider reported in spite of the failure; `param` is
    the field of the client's request that is to blame, where we know it.
    """

    code = "provider_error"
    transient = False
    uses_attempt = True

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        retry_after_s: float | None = None,
        sent: bool = True,
        usage: Usage | None = None,
        body: bytes | None = None,
        feedback: LimitFeedback | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.status = status
        self.retry_after_s = retry_after_s
        self.sent = sent
        self.usage = usage
        self.body = None if body is None else body[:MAX_BODY]
        self.feedback = feedback
        self.param = param

    @property
    def consumes_attempt(self) -> bool:
        """Tell whether the failure uses up one of the job's attempts: waiting does not."""
        return self.uses_attempt and self.sent

    @property
    def possibly_billed(self) -> bool:
        """Tell whether the provider may have done the work: sent, and not plainly refused."""
        refused = self.status is not None and self.status >= HTTPStatus.BAD_REQUEST
        return self.sent and (not refused or self.status in LOST_BEHIND_GATEWAY)


class RateLimited(ProviderError):
    """Too many requests or tokens for this credential right now."""

    code, transient, uses_attempt = "rate_limited", True, False


class Overloaded(ProviderError):
    """The provider has no capacity right now."""

    code, transient, uses_attempt = "overloaded", True, False


class QuotaExhausted(ProviderError):
    """The account has no money or quota left: no waiting for seconds helps."""

    code, transient, uses_attempt = "quota_exhausted", True, False


class Timeout(ProviderError):
    """No answer, or not the end of it, in time; the provider may still be working."""

    code, transient = "timeout", True


class Unavailable(ProviderError):
    """Not reached, cut off in the middle, or broken on its side."""

    code, transient = "unavailable", True


class Malformed(ProviderError):
    """A success that holds no answer: not JSON, no choices, no proper end."""

    code, transient = "malformed_response", True


class BadRequest(ProviderError):
    """The provider refuses the request as it is."""

    code = "bad_request"


class ContextTooLong(ProviderError):
    """The request has more tokens than the model takes."""

    code = "context_too_long"


class ContentFiltered(ProviderError):
    """The provider refuses the content."""

    code = "content_filtered"


class AuthFailed(ProviderError):
    """The credential is wrong, revoked, or may not do this."""

    code = "auth_failed"


class ModelNotFound(ProviderError):
    """No such model, or not for this credential."""

    code = "model_not_found"


class CannotDo(ProviderError):
    """The provider's dialect has no words for what is asked, so nothing was sent."""

    code = "unsupported_by_provider"


class ResultTooLarge(ProviderError):
    """The answer is larger than the limit that the message names."""

    code = "result_too_large"
