"""Who can be called: vendors as rows of data, and how a row becomes a provider."""

from collections.abc import Mapping

import httpx
from pydantic import JsonValue

from shared.providers.base import Provider
from shared.providers.openai_compatible import AuthHeader, OpenAICompatible, Vendor
from shared.providers.sandbox import Sandbox
from shared.providers.sandbox_options import read_options
from shared.providers.transport import Http, Timeouts

SANDBOX = "sandbox"
MAX_RESPONSE_BYTES = 20 * 1024 * 1024

OLD_LIMIT_NAME = {"max_completion_tokens": "max_tokens"}

ROWS = (
    Vendor("openai", "https://api.openai.com/v1"),
    # Names the deployment in the path; base_url is https://NAME.openai.azure.com/openai.
    Vendor(
        "azure",
        None,
        auth=AuthHeader.API_KEY,
        prefix="/deployments/{model}",
        query={"api-version": "2024-10-21"},
    ),
    # Azure's newer surface; base_url is https://NAME.openai.azure.com/openai/v1.
    Vendor("azure-v1", None, auth=AuthHeader.API_KEY),
    # Refuses keys that it does not know, and reports usage at a stream's end unasked.
    Vendor(
        "mistral",
        "https://api.mistral.ai/v1",
        renames={"seed": "random_seed", **OLD_LIMIT_NAME},
        stream_usage=False,
    ),
    Vendor("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    Vendor("groq", "https://api.groq.com/openai/v1"),
    Vendor("together", "https://api.together.xyz/v1", renames=OLD_LIMIT_NAME),
    Vendor("deepseek", "https://api.deepseek.com/v1", renames=OLD_LIMIT_NAME),
    Vendor("openrouter", "https://openrouter.ai/api/v1"),
    Vendor("fireworks", "https://api.fireworks.ai/inference/v1", renames=OLD_LIMIT_NAME),
    Vendor("xai", "https://api.x.ai/v1"),
    # Reports usage with every chunk, unasked.
    Vendor("perplexity", "https://api.perplexity.ai", renames=OLD_LIMIT_NAME, stream_usage=False),
    Vendor("cerebras", "https://api.cerebras.ai/v1"),
    Vendor("deepinfra", "https://api.deepinfra.com/v1/openai"),
    Vendor("vllm", "http://127.0.0.1:8000/v1", needs_key=False),
    Vendor("sglang", "http://127.0.0.1:30000/v1", needs_key=False),
    Vendor("ollama", "http://127.0.0.1:11434/v1", needs_key=False, renames=OLD_LIMIT_NAME),
    Vendor("llamacpp", "http://127.0.0.1:8080/v1", needs_key=False),
    Vendor("lmstudio", "http://127.0.0.1:1234/v1", needs_key=False),
    # Anyone else who speaks the dialect.
    Vendor("openai-compatible", None, needs_key=False),
)
VENDORS: Mapping[str, Vendor] = {row.name: row for row in ROWS}


class NotConfigured(ValueError):
    """A deployment cannot be called as it is written; the message says what to change."""


def known_vendors() -> tuple[str, ...]:
    """Return every name that a deployment's `provider` may have."""
    return (*VENDORS, SANDBOX)


def build_provider(
    vendor: str,
    *,
    http: Http,
    base_url: str | None = None,
    api_key: str | None = None,
    timeouts: Timeouts | None = None,
    headers: Mapping[str, str] | None = None,
    options: Mapping[str, JsonValue] | None = None,
    max_response_bytes: int = MAX_RESPONSE_BYTES,
) -> Provider:
    """Return the provider for one deployment and one of its keys.

    `base_url` None takes the vendor's own, `headers` are added to every call, `options` are the
    sandbox's (see `SandboxOptions`) and no one else's.

    Raises:
        NotConfigured: the vendor is unknown, or its key, base URL or options are missing or wrong.
    """
    if vendor == SANDBOX:
        try:
            return Sandbox(read_options(options or {}))
        except ValueError as error:
            raise NotConfigured(str(error)) from error
    row = VENDORS.get(vendor)
    if row is None:
        message = f"no provider is called `{vendor}`: name one of {', '.join(known_vendors())}"
        raise NotConfigured(message)
    if row.needs_key and not api_key:
        message = f"`{vendor}` needs a key, and none is configured for it"
        raise NotConfigured(message)
    return OpenAICompatible(
        row,
        base_url=_base_url(row, base_url),
        api_key=api_key,
        http=http,
        timeouts=timeouts or Timeouts(),
        headers=headers or {},
        max_response_bytes=max_response_bytes,
    )


def _base_url(row: Vendor, given: str | None) -> str:
    chosen = given or row.base_url
    if chosen is None:
        message = f"`{row.name}` has no address of its own: give the deployment a `base_url`"
        raise NotConfigured(message)
    try:
        url = httpx.URL(chosen)
    except httpx.InvalidURL as error:
        raise NotConfigured(f"`{chosen}` is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        message = f"`{chosen}` is not a base URL: it begins with https:// or http:// and a host"
        raise NotConfigured(message)
    return chosen
