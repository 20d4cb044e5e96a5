"""One long-lived provider for each target, over one HTTP client."""

from shared.providers.base import Provider
from shared.providers.registry import build_provider
from shared.providers.transport import Timeouts, build_http
from shared.routing.model import Target
from shared.settings import Settings


class ProviderPool:
    """Built on first use, kept until the process ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = build_http()
        self._providers: dict[str, Provider] = {}

    def get(self, target: Target) -> Provider:
        """Return the provider of a target."""
        provider = self._providers.get(target.lane_key)
        if provider is None:
            provider = self._providers[target.lane_key] = self._build(target)
        return provider

    async def aclose(self) -> None:
        """Close the providers and the client."""
        for provider in self._providers.values():
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
            options=deployment.options,
            max_response_bytes=settings.max_response_bytes,
        )
