"""How a writer tells, among the names of what it left out, what it changed: by name, how, and to what. Pure.

A bare name (`top_k`) was left out. `temperature>1`: what was asked for is above 1, the highest there
is, and 1 was said. `thinking_tokens<1024`: below the least, which was said. `effort=low`: there is
no such word, and this one was said.
"""

from collections.abc import Iterator

from shared.inference.conversation import Media
from shared.inference.generation import GenerationRequest, Tuning

LITTLE_THOUGHT, SOME_THOUGHT = 4_096, 16_384


def lowered(name: str, most: int) -> str:
    """Say that the highest value was told instead of a higher one."""
    return f"{name}>{most}"


def raised(name: str, least: int) -> str:
    """Say that the lowest value was told instead of a lower one."""
    return f"{name}<{least}"


def reworded(name: str, told: str) -> str:
    """Say that another word was told."""
    return f"{name}={told}"


def effort_of(tuning: Tuning) -> tuple[str | None, tuple[str, ...]]:
    """Return how hard to think in one word, a budget as the effort that it stands for, and what that changed."""
    budget = tuning.thinking_tokens
    if tuning.effort is not None:
        return tuning.effort, (() if budget is None else ("thinking_tokens",))
    if budget is None or budget < 0:
        return None, ()
    if budget == 0:
        return "none", ()
    most = "high" if budget > SOME_THOUGHT else "medium"
    word = "low" if budget <= LITTLE_THOUGHT else most
    return word, (reworded("thinking_tokens", word),)


def unsaid(request: GenerationRequest) -> Iterator[str]:
    """Yield what stands in messages and few dialects can say: who a speaker is, how closely to look."""
    if any(message.name for message in request.messages):
        yield "name"
    parts = (part for message in request.messages for part in message.parts)
    if any(isinstance(part, Media) and part.detail for part in parts):
        yield "detail"
