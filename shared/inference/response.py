"""What a model answered, with what the provider said about its limits."""

from dataclasses import dataclass

from pydantic import JsonValue

from shared.inference.usage import Usage


@dataclass(frozen=True, slots=True)
class LimitFeedback:
    """What is left of the provider's limits; None where it did not say."""

    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
    limit_requests: int | None = None
    limit_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class InferenceResponse:
    """A whole answer: `body` is what the provider sent, checked but not rewritten.

    `usage` is None when the provider did not report it: then nothing may be refunded.
    """

    status_code: int
    body: bytes
    usage: Usage | None
    feedback: LimitFeedback | None = None
    first_token_ms: int | None = None


@dataclass(frozen=True, slots=True)
class InferenceChunk:
    """One event of a stream in its dialect, decoded: a `chat.completion.chunk`, say.

    The last chunk that carries a `usage` has the final one.
    `feedback` comes with the first chunk only.
    """

    data: dict[str, JsonValue]
    usage: Usage | None
    feedback: LimitFeedback | None = None
