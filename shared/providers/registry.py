"""How a vendor's row becomes a provider that can be called."""

from collections.abc import Mapping

import httpx
from pydantic import JsonValue

from shared.inference.sandbox_options import read_options
from shared.inference.vendors import SANDBOX, VENDORS, Vendor, Wire, known_vendors
from shared.providers.anthropic import Anthropic
from shared.providers.base import Provider
from shared.providers.gemini import Gemini
from shared.providers.long_tail import LongTail, installed
from shared.providers.openai_compatible import OpenAICompatible
from shared.providers.sandbox import Sandbox
from shared.providers.transport import Http, Timeouts

MAX_RESPONSE_BYTES = 20 * 1024 * 1024
ADAPTERS: Mapping[Wire, type[OpenAICompatible | Anthropic | Gemini]] = {
    Wire.OPENAI: OpenAICompatible,
    Wire.ANTHROPIC: Anthropic,
    Wire.GEMINI: Gemini,
}


class NotConfigured(ValueError):
    """A deployment cannot be called as it is written; the message says what to change."""


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
    if row.wire is Wire.LITELLM:
        if not installed():
            message = f"`{vendor}` needs the extra: pip install 'penstock[litellm]'"
            raise NotConfigured(message)
        return LongTail(
            row,
            base_url=base_url,
            api_key=api_key,
            timeouts=timeouts or Timeouts(),
            headers=headers or {},
        )
    return ADAPTERS[row.wire](
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
