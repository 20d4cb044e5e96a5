"""What an adapter remembers of the models that it was asked for."""

from typing import Any

import pytest

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.providers.gemini import MOST_KNOWN, Act
from shared.providers.registry import build_provider
from shared.providers.transport import build_http


@pytest.mark.parametrize("vendor", ["gemini", "azure"])
async def test_made_up_names_do_not_pile_up(vendor: str) -> None:
    http = build_http()
    provider: Any = build_provider(
        vendor, http=http, api_key="a-key-of-some-length", base_url="https://example.com"
    )

    for number in range(2 * MOST_KNOWN):
        name = f"made-up-{number}"
        if vendor == "gemini":
            call = provider._call(Act.GENERATE, name)
        else:
            call = provider._call(InferenceRequest(name, {}, Dialect.CHAT))
        assert name in str(call.url)

    assert len(provider._calls) <= MOST_KNOWN
    await http.aclose()
