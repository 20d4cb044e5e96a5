"""Keys as clients hold them: `pk_<prefix>_<secret>`, 256 bits of secret."""

import re
import secrets
from base64 import b32hexencode
from dataclasses import dataclass, field

from shared import crypto

MIN_LENGTH = 16
MAX_LENGTH = 512
_PREFIX_BYTES = 8
_DERIVED_LENGTH = 16
_MINTED = re.compile(r"pk_([0-9a-v]{13})_[0-9a-v]{52}")


@dataclass(frozen=True, slots=True)
class Presented:
    """A key that someone shows: what finds its row, and what must stand in it."""

    prefix: str
    digest: str


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key; `plaintext` is shown once and kept nowhere."""

    plaintext: str = field(repr=False)
    prefix: str
    digest: str


def mint(secret_key: bytes) -> Minted:
    """Make a key of 256 random bits whose digest only this server can compute."""
    plaintext = f"pk_{_random(_PREFIX_BYTES)}_{_random(crypto.SECRET_BYTES)}"
    shown = read(secret_key, plaintext)
    return Minted(plaintext, shown.prefix, shown.digest)


def read(secret_key: bytes, presented: str) -> Presented:
    """Take a presented key apart.

    A key that an operator chose has no prefix of ours: one is derived from its digest.
    """
    digest = crypto.digest(secret_key, presented)
    minted = _MINTED.fullmatch(presented)
    prefix = minted[1] if minted else f"own{digest[:_DERIVED_LENGTH]}"
    return Presented(prefix, digest)


def _random(size: int) -> str:
    return b32hexencode(secrets.token_bytes(size)).rstrip(b"=").decode().lower()
