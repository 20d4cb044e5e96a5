"""What is known of a model that a client may name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """A model by its name here; `owner` is the provider, `context_tokens` None where nobody said."""

    name: str
    owner: str
    context_tokens: int | None = None
