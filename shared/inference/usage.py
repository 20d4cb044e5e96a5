"""What a model call used, in tokens: the one measure that limits and cost are computed from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them.

    `input_tokens` counts the cached ones too; `output_tokens` counts reasoning too.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
