"""The operations that OpenAI's clients call directly, and what they answer, as models."""

from api.openapi_models import Job
from api.openapi_parts import ANY, JSON, Answer, Operation
from shared.auth.permissions import Permission
from shared.jobs.bodies import ChatBody, CompletionsBody, EmbeddingsBody

_ASKED = ("Idempotency-Key", "Prefer", "Penstock-On-Disconnect")
_ERRORS = (400, 404, 409, 413, 422, 429, 502, 504)
LIMITS = tuple(
    f"x-ratelimit-{what}-{unit}"
    for what in ("limit", "remaining", "reset")
    for unit in ("requests", "tokens")
)
_TOLD = ("Penstock-Job-Id", "Idempotent-Replayed", "openai-processing-ms", *LIMITS)
_STORED = Answer(
    "With `Prefer: respond-async`: the job, stored.",
    Job,
    ("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied"),
)


DIRECT = (
    Operation(
        "createChatCompletion",
        "POST",
        "/v1/chat/completions",
        "Have a chat completed, now",
        {
            "200": Answer(
                "The provider's `chat.completion`; with `stream` its chunks as server-sent events.",
                headers=_TOLD,
                media_type=ANY,
            ),
            "202": _STORED,
        },
        Permission.JOBS_WRITE,
        {JSON: ChatBody},
        {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Say hello."}]},
        parameters=_ASKED,
        errors=_ERRORS,
    ),
    Operation(
        "createEmbedding",
        "POST",
        "/v1/embeddings",
        "Have texts embedded, now",
        {"200": Answer("The provider's list of embeddings.", headers=_TOLD), "202": _STORED},
        Permission.JOBS_WRITE,
        {JSON: EmbeddingsBody},
        {"model": "sandbox/embed", "input": ["one text", "another"]},
        parameters=_ASKED,
        errors=_ERRORS,
    ),
)

LEGACY = (
    Operation(
        "createCompletion",
        "POST",
        "/v1/completions",
        "Have a text continued, now",
        {
            "200": Answer(
                "A `text_completion`; with `stream` in pieces, as server-sent events.",
                headers=_TOLD,
                media_type=ANY,
            ),
            "202": _STORED,
        },
        Permission.JOBS_WRITE,
        {JSON: CompletionsBody},
        {"model": "sandbox/echo", "prompt": "Once upon a time"},
        parameters=_ASKED,
        errors=_ERRORS,
    ),
)
"""What only OpenAI's own clients know."""
