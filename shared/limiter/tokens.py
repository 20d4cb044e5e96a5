"""How many tokens a text has, without asking its provider: by OpenAI's own tokenizer where its ranks are, else by experience.

Nothing is ever downloaded. Claude's and Gemini's tokenizers are not published: theirs are OpenAI's
counts times a factor, and what providers report corrects the estimates as it comes.
"""

import asyncio
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import structlog
from pydantic import JsonValue

from shared.inference.usage import Usage
from shared.limiter.estimate import MEDIA_TOKENS, READ_BY_MODEL, TURNS, is_media
from shared.settings import use_token_ranks

log = structlog.get_logger()

O200K = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""The name of o200k_base's ranks in a folder of tiktoken's."""
O200K_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
BYTES_A_TOKEN = 3.6
LEAST, MOST = 1.2, 8.0
TURN_TOKENS = 4
WEIGHT, SAMPLE = 0.1, 8
MOST_MODELS = 1000
LONGEST = 2_000_000
"""A longer text is not tokenized: it would keep the loop busy for a quarter of a second."""

# First match wins; the factors are ours, on top of o200k_base.
FACTORS = (
    ("claude-opus-4-7", 1.5),
    ("claude-opus-5", 1.5),
    ("claude-sonnet-5", 1.5),
    ("claude-fable", 1.5),
    ("claude-mythos", 1.5),
    ("claude", 1.15),
)


class Encoding(Protocol):
    """What of tiktoken's encodings is used."""

    def encode_ordinary(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...


class TokenCounter:
    """One per process; `folder` is one of tiktoken's cache folders, None: there is none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._encoding: Encoding | None = None
        self._bytes_a_token: dict[str, float] = {}
        self._heard = 0

    @property
    def exact(self) -> bool:
        """Tell whether a tokenizer is at work."""
        return self._encoding is not None

    async def load(self) -> None:
        """Load the ranks, if they are there: half a second and 90 MB, beside the loop."""
        if self._folder is not None and (self._folder / O200K).is_file():
            self._encoding = await asyncio.to_thread(_encoding, self._folder)
            log.info("tokens.ranks_loaded", exact=self.exact)

    def count(self, text: str, model: str) -> int:
        """Return how many tokens a text has for a model."""
        if self._encoding is not None and len(text) <= LONGEST:
            return round(len(self._encoding.encode_ordinary(text)) * _factor(model))
        return round(len(text.encode()) / self._bytes_a_token.get(model, BYTES_A_TOKEN))

    def count_request(self, body: Mapping[str, JsonValue], model: str) -> int:
        """Return how many tokens a request of generation has, in whatever dialect."""
        found = _Read()
        found.request(body)
        tokens = self.count("\n".join(found.texts), model)
        return max(1, tokens + found.media * MEDIA_TOKENS + found.turns * TURN_TOKENS)

    def learn(self, body: Mapping[str, JsonValue], model: str, usage: Usage) -> None:
        """Take what a provider reported of a request as experience for the next."""
        if self._encoding is not None or usage.input_tokens <= 0 or not self._is_due(model):
            return
        found = _Read()
        found.request(body)
        tokens = usage.input_tokens - found.turns * TURN_TOKENS
        size = sum(len(text.encode()) for text in found.texts)
        if found.media or tokens <= 0 or not size:
            return
        if len(self._bytes_a_token) >= MOST_MODELS:
            self._bytes_a_token.clear()
        known = self._bytes_a_token.get(model, BYTES_A_TOKEN)
        ratio = min(MOST, max(LEAST, size / tokens))
        self._bytes_a_token[model] = known + WEIGHT * (ratio - known)

    def _is_due(self, model: str) -> bool:
        # A sample is experience enough, and costs a busy worker less.
        self._heard += 1
        return model not in self._bytes_a_token or self._heard % SAMPLE == 0


class _Read:
    """What a model reads of a request: its texts, how many turns and how many pictures."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.turns = 0
        self.media = 0

    def request(self, body: Mapping[str, JsonValue]) -> None:
        for name in TURNS:
            turns = body.get(name)
            self.turns += len(turns) if isinstance(turns, list) else int(bool(turns))
            self._value(turns)
        for name in READ_BY_MODEL:
            self._value(body.get(name))

    def _value(self, value: Any) -> None:
        stack = [value]
        while stack:
            each = stack.pop()
            if isinstance(each, str):
                self.texts.append(each)
            elif is_media(each):
                self.media += 1
            elif isinstance(each, dict):
                stack.extend(_contents(each))
            elif isinstance(each, list):
                stack.extend(reversed(each))


def _contents(value: dict[str, Any]) -> Iterator[Any]:
    for name, inner in value.items():
        # What only tells the kind of a thing is no text to its reader.
        if name not in ("type", "role", "id", "tool_call_id", "tool_use_id", "cache_control"):
            if isinstance(inner, dict) or name not in ("text", "content", "parts"):
                yield name
            yield inner


def _factor(model: str) -> float:
    bare = model.rpartition("/")[2].lower().replace(".", "-")
    return next((factor for begins, factor in FACTORS if bare.startswith(begins)), 1.0)


def _encoding(folder: Path) -> Encoding | None:
    # Checked before: tiktoken would fetch anew what is not whole.
    if sha256((folder / O200K).read_bytes()).hexdigest() != O200K_SHA256:
        log.warning("tokens.ranks_broken", file=O200K)
        return None
    use_token_ranks(folder)
    # Here, because it takes a third of a second to import, and most processes never count.
    import tiktoken  # noqa: PLC0415

    return tiktoken.get_encoding("o200k_base")
