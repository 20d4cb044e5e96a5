"""Whether a whole answer is none: withheld by the provider's filter, or refused by the model. Pure."""

import orjson

from shared.dialects.registry import translator_of
from shared.inference.conversation import Refusal
from shared.inference.dialect import Dialect
from shared.inference.generation import Choice, Finish


def is_withheld(dialect: Dialect, body: bytes) -> bool:
    """Tell whether no choice of an answer says what was asked for."""
    try:
        answer = translator_of(dialect).read_answer(orjson.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return False
    return bool(answer.choices) and all(map(_is_nothing, answer.choices))


def _is_nothing(choice: Choice) -> bool:
    refused = bool(choice.parts) and all(isinstance(part, Refusal) for part in choice.parts)
    return refused or choice.finish is Finish.CONTENT_FILTER
