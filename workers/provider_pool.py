"""One long-lived provider for each target, over one HTTP client."""

from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Timeouts, build_http
from shared.routing.model import Deployment, Target
from shared.settings import Settings

MOST = 10_000
"""Clients may name any model of a vendor: what was built for them is forgotten some time."""


class ProviderPool:
    """Built on first use, kept until the process ends or the operator changes the deployment.

    Calls under way keep the provider that they began with. A provider holds nothing open of its own:
    one that was replaced is just forgotten.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = build_http()
        self._providers: dict[str, tuple[Deployment, Provider]] = {}

    def get(self, target: Target) -> Provider:
        """Return the provider of a target.

        Raises:
            NotConfigured: it cannot be called as its operator wrote it.
        """
        known = self._providers.get(target.lane_key)
        # Mostly it is the very same object, and then nothing is compared.
        if known is not None and (known[0] is target.deployment or known[0] == target.deployment):
            return known[1]
        provider = self._build(target)
        if known is None and len(self._providers) >= MOST:
            self._providers.clear()
        self._providers[target.lane_key] = (target.deployment, provider)
        return provider

    async def aclose(self) -> None:
        """Close the providers and the client."""
        for _, provider in self._providers.values():
            await provider.aclose()
        await self._http.aclose()

    def _build(self, target: Target) -> Provider:
        deployment, settings = target.deployment, self._settings
        timeouts = Timeouts(
            connect_s=settings.connect_timeout_s,
            idle_read_s=settings.idle_read_timeout_s,
            total_s=deployment.timeout_s or settings.attempt_timeout_s,
        )
        return build_provider(
            deployment.provider,
            base_url=deployment.base_url,
            api_key=target.api_key,
            http=self._http,
            timeouts=timeouts,
            headers=deployment.headers,
            options=deployment.options,
            max_response_bytes=settings.max_response_bytes,
        )
