"""Identifiers: a prefix that tells the kind, then 26 characters that sort by time."""

import secrets
from base64 import b32hexencode

from shared.clock import now_ms


def new_id(prefix: str) -> str:
    """Return `prefix_` + 26 lower-case characters (48 bits of time, 80 of chance)."""
    raw = now_ms().to_bytes(6) + secrets.token_bytes(10)
    return f"{prefix}_{b32hexencode(raw)[:26].decode().lower()}"
