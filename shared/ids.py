"""Identifiers: a prefix that tells the kind, then 26 characters that sort by time."""

import secrets
from base64 import b32hexencode

from shared.clock import now_ms


def new_id(prefix: str) -> str:
    """Return `prefix_` + 26 lower-case characters (48 bits of time, 80 of chance)."""
    return f"{prefix}_{_spelled(now_ms(), secrets.token_bytes(10))}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Return many new ids (at most 1,048,576), in their order: they differ in their last 20 bits."""
    head = new_id(prefix)[:-_COUNTED]
    return [f"{head}{_TWO[at >> 10]}{_TWO[at & 1023]}" for at in range(count)]


def file_id_of(moment: int, digest: bytes) -> str:
    """Return the id of a file that is made again and again: the same for the same ten bytes."""
    return f"file-{_spelled(moment, digest[:10])}"


def _spelled(moment: int, chance: bytes) -> str:
    return b32hexencode(moment.to_bytes(6) + chance)[:26].decode().lower()


_COUNTED = 4
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TWO = [high + low for high in _DIGITS for low in _DIGITS]
