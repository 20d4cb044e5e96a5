"""What every provider can do, whoever it is."""

from collections.abc import AsyncGenerator
from typing import Protocol

from shared.inference.dialect import Dialect
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceChunk, InferenceResponse


class Provider(Protocol):
    """One provider reached with one credential; every failure is a `ProviderError`.

    It is asked in one of its `dialects` and answers in the same. Nothing is retried here, and a
    cancelled call closes its connection.
    """

    name: str
    dialects: frozenset[Dialect]

    async def generate(self, request: InferenceRequest) -> InferenceResponse:
        """Return a whole answer of a model."""
        ...

    def stream(self, request: InferenceRequest) -> AsyncGenerator[InferenceChunk, None]:
        """Yield an answer as its dialect's events; it ends only after a proper end of the stream."""
        ...

    async def embed(self, request: InferenceRequest) -> InferenceResponse:
        """Return embeddings."""
        ...

    async def count(self, request: InferenceRequest, /) -> int | None:
        """Return how many tokens a request of generation has, None where the provider does not count."""
        ...

    async def aclose(self) -> None:
        """Release what this provider holds of its own; the shared HTTP client stays open."""
        ...
