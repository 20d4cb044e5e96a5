"""Who can be called: vendors as rows of data, without anything that calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.inference.dialect import Dialect

SANDBOX = "sandbox"


class Wire(StrEnum):
    """Which adapter calls a vendor."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    LITELLM = "litellm"
    SANDBOX = "sandbox"


OPENAI_DIALECTS = frozenset({Dialect.CHAT, Dialect.EMBEDDINGS})
RESPONSES_ONLY = frozenset({Dialect.RESPONSES})
WITH_RESPONSES = OPENAI_DIALECTS | {Dialect.RESPONSES}
# Those who still continue bare texts.
WITH_TEXTS = OPENAI_DIALECTS | {Dialect.COMPLETIONS}
ALL_OF_OPENAI = WITH_RESPONSES | WITH_TEXTS


class AuthHeader(StrEnum):
    """Where a vendor wants its key."""

    BEARER = "authorization"
    API_KEY = "api-key"
    X_API_KEY = "x-api-key"
    GOOGLE = "x-goog-api-key"


@dataclass(frozen=True, slots=True)
class Vendor:
    """How one vendor differs from OpenAI.

    `dialects` are those that it speaks itself: what a client asks in another one is translated.
    `base_url` None means that the operator must name one. `prefix` stands before the path (for litellm:
    before the model) and may hold `{model}`. `renames` maps OpenAI's key to the vendor's, `drops` are keys that it refuses.
    `stream_usage` tells whether it takes `stream_options` to report usage at a stream's end.
    """

    name: str
    base_url: str | None
    wire: Wire = Wire.OPENAI
    dialects: frozenset[Dialect] = OPENAI_DIALECTS
    needs_key: bool = True
    auth: AuthHeader = AuthHeader.BEARER
    prefix: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    stream_usage: bool = True


GEMINI_DIALECTS = frozenset({Dialect.GEMINI, Dialect.GEMINI_EMBEDDING, Dialect.GEMINI_EMBEDDINGS})
MESSAGES_ONLY = frozenset({Dialect.MESSAGES})
OLD_LIMIT_NAME = {"max_completion_tokens": "max_tokens"}

ROWS = (
    Vendor("openai", "https://api.openai.com/v1", dialects=ALL_OF_OPENAI),
    # For its models that are to be had by the Responses API alone.
    Vendor("openai-responses", "https://api.openai.com/v1", dialects=RESPONSES_ONLY),
    # A key that begins with `sk-ant-oat` is a token, and goes as a bearer's.
    Vendor(
        "anthropic",
        "https://api.anthropic.com",
        wire=Wire.ANTHROPIC,
        dialects=MESSAGES_ONLY,
        auth=AuthHeader.X_API_KEY,
    ),
    # Names the deployment in the path; base_url is https://NAME.openai.azure.com/openai.
    Vendor(
        "azure",
        None,
        dialects=WITH_TEXTS,
        auth=AuthHeader.API_KEY,
        prefix="/deployments/{model}",
        query={"api-version": "2024-10-21"},
    ),
    # Azure's newer surface; base_url is https://NAME.openai.azure.com/openai/v1.
    Vendor("azure-v1", None, dialects=ALL_OF_OPENAI, auth=AuthHeader.API_KEY),
    # Refuses keys that it does not know, and reports usage at a stream's end unasked.
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        renames={"seed": "random_seed", **OLD_LIMIT_NAME},
        stream_usage=False,
    ),
    Vendor(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        wire=Wire.GEMINI,
        dialects=GEMINI_DIALECTS,
        auth=AuthHeader.GOOGLE,
    ),
    # Takes an access token; base_url is
    # https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google.
    Vendor("vertex", None, wire=Wire.GEMINI, dialects=GEMINI_DIALECTS),
    # Google's models in OpenAI's dialect.
    Vendor("gemini-openai", "https://generativelanguage.googleapis.com/v1beta/openai"),
    Vendor("groq", "https://api.groq.com/openai/v1", dialects=WITH_RESPONSES),
    Vendor("together", "https://api.together.xyz/v1", dialects=WITH_TEXTS, renames=OLD_LIMIT_NAME),
    Vendor("deepseek", "https://api.deepseek.com/v1", renames=OLD_LIMIT_NAME),
    Vendor("openrouter", "https://openrouter.ai/api/v1", dialects=ALL_OF_OPENAI),
    Vendor(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        dialects=ALL_OF_OPENAI,
        renames=OLD_LIMIT_NAME,
    ),
    Vendor("xai", "https://api.x.ai/v1", dialects=WITH_RESPONSES),
    # Reports usage with every chunk, unasked.
    Vendor("perplexity", "https://api.perplexity.ai", renames=OLD_LIMIT_NAME, stream_usage=False),
    Vendor("cerebras", "https://api.cerebras.ai/v1"),
    Vendor("nvidia", "https://integrate.api.nvidia.com/v1", renames=OLD_LIMIT_NAME),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai", dialects=WITH_TEXTS),
    Vendor("vllm", "http://127.0.0.1:8000/v1", dialects=ALL_OF_OPENAI, needs_key=False),
    Vendor("sglang", "http://127.0.0.1:30000/v1", dialects=ALL_OF_OPENAI, needs_key=False),
    Vendor(
        "ollama",
        "http://127.0.0.1:11434/v1",
        dialects=WITH_TEXTS,
        needs_key=False,
        renames=OLD_LIMIT_NAME,
    ),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", dialects=WITH_TEXTS, needs_key=False),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", dialects=ALL_OF_OPENAI, needs_key=False),
    # Anyone else who speaks the dialect.
    Vendor("openai-compatible", None, needs_key=False),
    Vendor(
        "anthropic-compatible",
        None,
        wire=Wire.ANTHROPIC,
        dialects=MESSAGES_ONLY,
        needs_key=False,
        auth=AuthHeader.X_API_KEY,
    ),
    # Those that speak no dialect of ours, through the extra `litellm`; base_url is what it takes there.
    Vendor("cohere", None, wire=Wire.LITELLM, prefix="cohere_chat/"),
    Vendor("litellm", None, wire=Wire.LITELLM, needs_key=False),
    # Our own, for demos and tests: it calls nobody.
    Vendor(SANDBOX, None, wire=Wire.SANDBOX, needs_key=False),
)
VENDORS: Mapping[str, Vendor] = {row.name: row for row in ROWS}


def known_vendors() -> tuple[str, ...]:
    """Return every name that a deployment's `provider` may have."""
    return tuple(VENDORS)
