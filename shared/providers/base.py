"""What every provider can do, whoever it is."""

from collections.abc import AsyncGenerator
from typing import Protocol

from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse


class Provider(Protocol):
    """One provider reached with one credential; every failure is a `ProviderError`.

    Nothing is retried here, and a cancelled call closes its connection.
    """

    name: str

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole chat completion."""
        ...

    def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield a chat completion in chunks; it ends only after a proper end of the stream."""
        ...

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return embeddings."""
        ...

    async def aclose(self) -> None:
        """Release what this provider holds of its own; the shared HTTP client stays open."""
        ...
