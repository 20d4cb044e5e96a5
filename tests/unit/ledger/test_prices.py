"""What a call costs: by the operator's price, by the published one, or nobody knows."""

import pytest

from shared.inference.usage import Usage
from shared.inference.vendors import VENDORS
from shared.ledger.prices import PUBLISHED_AS, price_of
from shared.routing.model import Price

MIXED = Usage(1000, 100, cached_tokens=500, cache_write_tokens=300)


@pytest.mark.parametrize(
    ("provider", "model", "nanousd"),
    [
        ("openai", "gpt-4o", 500 * 2500 + 500 * 1250 + 100 * 10_000),
        ("azure-v1", "gpt-4o", 500 * 2500 + 500 * 1250 + 100 * 10_000),
        # Anthropic has a price of its own for what is written into its cache.
        ("anthropic", "claude-sonnet-4-5", 200 * 3000 + 500 * 300 + 300 * 3750 + 100 * 15_000),
        ("vertex", "gemini-2.5-flash", 500 * 300 + 500 * 30 + 100 * 2500),
        ("gemini", "gemini-2.5-flash", 500 * 300 + 500 * 30 + 100 * 2500),
        ("sandbox", "echo", 0),
    ],
)
def test_published_prices(provider: str, model: str, nanousd: int) -> None:
    assert price_of(provider, model, MIXED) == nanousd


def test_the_operators_price_goes_first() -> None:
    own = Price(input_usd=1, output_usd=2, cached_usd=0.5)

    assert price_of("openai", "gpt-4o", MIXED, own=own) == 1000 * (500 * 1 + 100 * 2) + 500 * 500


def test_what_has_no_price_costs_nobody_knows_what() -> None:
    assert price_of("openai", "gpt-of-nobody", MIXED) is None
    assert price_of("openai-compatible", "llama", MIXED) is None


def test_other_names_are_those_of_vendors() -> None:
    assert set(PUBLISHED_AS) <= set(VENDORS)
