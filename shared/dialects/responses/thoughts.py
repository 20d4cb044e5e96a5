"""What a model thought, as a reasoning item of OpenAI's, without losing what another provider wants back.

A signature of another provider's goes through a client as `encrypted_content`: sealed with our mark,
so that it is known again, and never shown to a provider that could not read it. Pure.
"""

import base64
import binascii
from typing import Any

import orjson

from shared.dialects.translator import Json
from shared.inference.conversation import Thinking
from shared.inference.dialect import Dialect

MARK = "penstock."
BREAK = "\n\n"
"""Between the parts of a summary."""


def reasoning_item(identity: str, thinking: Thinking) -> dict[str, Any]:
    """Return the item that says a thought."""
    native = thinking.dialect is Dialect.RESPONSES and thinking.redacted is not None
    summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
    item: dict[str, Any] = {
        "type": "reasoning",
        "id": thinking.signature if native and thinking.signature else identity,
        "summary": summary,
    }
    secret = thinking.redacted if native else _sealed(thinking)
    if secret is not None:
        item["encrypted_content"] = secret
    return item


def thinking_of(item: Json) -> Thinking:
    """Read a reasoning item: its own words if there are any, else their summary."""
    text = _joined(item.get("content")) or _joined(item.get("summary"), BREAK)
    secret = item.get("encrypted_content")
    if not isinstance(secret, str) or not secret:
        return Thinking(text, dialect=Dialect.RESPONSES)
    if not secret.startswith(MARK):
        identity = item.get("id")
        known = identity if isinstance(identity, str) else None
        return Thinking(text, known, secret, Dialect.RESPONSES)
    dialect, signature, redacted = _opened(secret)
    return Thinking(text, signature, redacted, dialect)


def is_ours(item: Json) -> bool:
    """Tell whether a reasoning item holds nothing that a provider of the dialect could read."""
    return str(item.get("encrypted_content") or MARK).startswith(MARK) and not item.get("content")


def _joined(parts: object, between: str = "") -> str:
    given = parts if isinstance(parts, list) else []
    found = [part.get("text") for part in given if isinstance(part, dict)]
    return between.join(text for text in found if isinstance(text, str))


def _sealed(thinking: Thinking) -> str | None:
    if thinking.signature is None and thinking.redacted is None:
        return None
    said = [thinking.dialect, thinking.signature, thinking.redacted]
    return MARK + base64.urlsafe_b64encode(orjson.dumps(said)).decode()


def _opened(secret: str) -> tuple[Dialect | None, str | None, str | None]:
    try:
        said = orjson.loads(base64.urlsafe_b64decode(secret.removeprefix(MARK)))
        dialect, signature, redacted = said
        return dialect and Dialect(dialect), _text(signature), _text(redacted)
    except (ValueError, TypeError, binascii.Error):
        # A client's to spoil: the thought is then one without a signature.
        return None, None, None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
