"""Embeddings from one dialect to another. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import JsonValue

from shared.dialects.embedding_google import (
    read_google_answer,
    read_google_request,
    read_google_requests,
    write_google_answer,
    write_google_answers,
    write_google_request,
    write_google_requests,
)
from shared.dialects.embedding_openai import (
    read_openai_answer,
    read_openai_request,
    write_openai_answer,
    write_openai_request,
)
from shared.dialects.translator import Json, Unsupported, Written
from shared.inference.dialect import Dialect
from shared.inference.embeddings import EmbeddingRequest, Embeddings, encoded_as

PREFERENCE = (Dialect.EMBEDDINGS, Dialect.GEMINI_EMBEDDINGS, Dialect.GEMINI_EMBEDDING)
"""Which of several dialects of a provider to use for a client that speaks none of them: the last takes one text only."""


@dataclass(frozen=True, slots=True)
class EmbeddingTranslator:
    """One dialect of embeddings: its requests and answers, in neutral words and back."""

    read_request: Callable[[Json], EmbeddingRequest]
    write_request: Callable[[EmbeddingRequest], dict[str, Any]]
    read_answer: Callable[[Json], Embeddings]
    write_answer: Callable[[Embeddings, Json], dict[str, Any]]


TRANSLATORS: Mapping[Dialect, EmbeddingTranslator] = {
    Dialect.EMBEDDINGS: EmbeddingTranslator(
        read_openai_request, write_openai_request, read_openai_answer, write_openai_answer
    ),
    Dialect.GEMINI_EMBEDDING: EmbeddingTranslator(
        read_google_request, write_google_request, read_google_answer, write_google_answer
    ),
    Dialect.GEMINI_EMBEDDINGS: EmbeddingTranslator(
        read_google_requests, write_google_requests, read_google_answer, write_google_answers
    ),
}


def spoken_for_embeddings(client: Dialect, provider: Collection[Dialect]) -> Dialect:
    """Return the dialect in which to ask a provider for embeddings.

    Raises:
        Unsupported: it makes none.
    """
    for each in (client, *PREFERENCE):
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
        if self.client is self.provider:
            return Written(dict(body))
        asked = TRANSLATORS[self.client].read_request(body)
        return Written(TRANSLATORS[self.provider].write_request(asked), asked.unknown)

    def answer(self, raw: bytes, asked: Json) -> bytes:
        """Return an answer as the client hears it, its vectors in the form that was asked for.

        Raises:
            ValueError, KeyError, TypeError: it cannot be written so, or has not a vector for each text.
        """
        if self.client is self.provider:
            wanted: JsonValue = asked.get("encoding_format")
            return encoded_as(raw, wanted) if self.client is Dialect.EMBEDDINGS else raw
        found = TRANSLATORS[self.provider].read_answer(orjson.loads(raw))
        texts = TRANSLATORS[self.client].read_request(asked).texts
        if len(found.vectors) != len(texts):
            message = f"{len(found.vectors)} embeddings of {len(texts)} texts"
            raise ValueError(message)
        return orjson.dumps(TRANSLATORS[self.client].write_answer(found, asked))
