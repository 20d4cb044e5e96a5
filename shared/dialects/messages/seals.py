"""Signatures of other providers, carried through Anthropic's clients and told apart from its own. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from shared.inference.dialect import Dialect

OWN = "penstock"
CALL_SIGNATURE = "penstock_signature"
"""The key of a `tool_use` block under which the signature of a call stands."""
THOUGHTS: Mapping[str, str] = {"thinking": "signature", "redacted_thinking": "data"}
"""Blocks of thought, and where each is sealed."""


def sealed(signature: str | None, dialect: Dialect | None) -> str:
    """Return a signature as a client is given it, empty where there is none or nobody's."""
    if not signature or dialect is None:
        return ""
    return signature if dialect is Dialect.MESSAGES else f"{OWN}:{dialect}:{signature}"


def unsealed(given: str | None) -> tuple[str | None, Dialect]:
    """Return a signature and whose it is."""
    if given and is_foreign(given):
        _, dialect, signature = [*given.split(":", 2), "", ""][:3]
        if dialect in set(Dialect):
            return signature or None, Dialect(dialect)
    return given or None, Dialect.MESSAGES


def is_foreign(given: str) -> bool:
    """Tell whether a signature is one that we gave out for another provider."""
    return given.startswith(f"{OWN}:")


def without_foreign(messages: Any) -> Any:
    """Return a request's messages without what only we or another provider can read.

    Thoughts without a signature are left out too: Anthropic refuses them.
    """
    if not isinstance(messages, list):
        return messages
    return [_spoken(message) for message in messages if not _is_emptied(message)]


def _spoken(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not any(_is_touched(block) for block in content):
        return message
    return {**message, "content": list(_blocks(content))}


def _is_emptied(message: Any) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and bool(content) and not any(_blocks(content))


def _blocks(content: list[Any]) -> Iterator[Any]:
    for block in content:
        if not _is_touched(block):
            yield block
        elif block.get("type") not in THOUGHTS:
            yield {name: value for name, value in block.items() if not name.startswith(OWN)}


def _is_touched(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    place = THOUGHTS.get(str(block.get("type")))
    if place is not None:
        seal = block.get(place)
        return not seal or (isinstance(seal, str) and is_foreign(seal))
    return any(name.startswith(OWN) for name in block)
