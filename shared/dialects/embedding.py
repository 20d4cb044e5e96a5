"""Embeddings from one dialect to another. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from pydantic import JsonValue

from shared.dialects.translator import Json, Unsupported, Written
from shared.inference.dialect import Dialect
from shared.inference.embeddings import encoded_as


def spoken_for_embeddings(client: Dialect, provider: Collection[Dialect]) -> Dialect:
    """Return the dialect in which to ask a provider for embeddings.

    Raises:
        Unsupported: it makes none.
    """
    for each in (client, Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDINGS):
        if each in provider:
            return each
    raise Unsupported("embeddings")


@dataclass(frozen=True, slots=True)
class EmbeddingBridge:
    """The way between two dialects of embeddings."""

    client: Dialect
    provider: Dialect

    def request(self, body: Json) -> Written:
        """Return the request as the provider hears it.

        Raises:
            Unreadable: it is not what the client's dialect knows.
            Unsupported: the provider's dialect has no words for it.
        """
        return Written(dict(body))

    def answer(self, raw: bytes, asked: Json) -> bytes:
        """Return an answer as the client hears it, its vectors in the form that was asked for.

        Raises:
            ValueError: it cannot be written so.
        """
        wanted: JsonValue = asked.get("encoding_format")
        return encoded_as(raw, wanted)
