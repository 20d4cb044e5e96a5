"""What a model call used, in tokens: the one measure that limits and cost are computed from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them.

    `input_tokens` counts those read from and written to a cache too; `output_tokens` counts reasoning too.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
