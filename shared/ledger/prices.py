"""What a call cost: the operator's price, else the published one, in nano-dollars."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot

from shared.inference.usage import Usage

NANO = 1_000_000_000
MILLION = 1_000_000
PER_MILLION = 1000
"""Nano-dollars per token for a price of one dollar per million tokens."""

FREE_PROVIDERS = frozenset({"sandbox", "ollama", "vllm", "sglang", "llamacpp", "lmstudio"})
PUBLISHED_AS = {
    "azure-v1": "azure",
    "gemini": "google",
    "gemini-openai": "google",
    "vertex": "google",
    "xai": "x-ai",
}
"""Vendors whose prices stand under another name."""


class OwnPrice(Protocol):
    """A price in dollars per million tokens."""

    @property
    def input_usd(self) -> float:
        """Of input that was not cached."""

    @property
    def output_usd(self) -> float:
        """Of output."""

    @property
    def cached_usd(self) -> float:
        """Of input that was cached."""


def price_of(
    provider: str,
    model: str,
    usage: Usage,
    *,
    own: OwnPrice | None = None,
) -> int | None:
    """Return the cost in nano-dollars, or None where no price is known.

    `own` is the operator's price.
    """
    if own is not None:
        fresh = usage.input_tokens - usage.cached_tokens
        amount = (
            fresh * own.input_usd
            + usage.output_tokens * own.output_usd
            + usage.cached_tokens * own.cached_usd
        )
        return round(amount * PER_MILLION)
    if provider in FREE_PROVIDERS:
        return 0
    if not _is_priced(provider, model):
        return None
    priced = PricedUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    return int(calc_price(priced, model, provider_id=_provider_id(provider)).total_price * NANO)


def published_price(provider: str, model: str) -> tuple[float, float, float] | None:
    """Return what a million tokens cost in dollars: input, output, and input that was cached."""
    usages = (
        Usage(MILLION, 0),
        Usage(0, MILLION),
        Usage(MILLION, 0, cached_tokens=MILLION),
    )
    found = [price_of(provider, model, usage) for usage in usages]
    known = [amount / NANO for amount in found if amount is not None]
    return (known[0], known[1], known[2]) if len(known) == len(found) else None


@lru_cache(maxsize=64)
def published_models(provider: str) -> Sequence[str]:
    """List the models of a provider that have a published price; none where nothing is known."""
    wanted = _provider_id(provider)
    listed = [each.models for each in get_snapshot().providers if each.id == wanted]
    names = {model.id for models in listed for model in models}
    # Variants and families stand there by patterns, and other vendors' models beside Google's own.
    plain = {name for name in names if ":" not in name and not name.endswith("-")}
    return sorted(each for each in plain if provider != "gemini" or each.startswith("gemini"))


def _provider_id(provider: str) -> str:
    return PUBLISHED_AS.get(provider, provider)


@lru_cache(maxsize=1024)
def _is_priced(provider: str, model: str) -> bool:
    try:
        calc_price(PricedUsage(), model, provider_id=_provider_id(provider))
    except LookupError:
        return False
    return True
