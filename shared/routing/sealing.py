"""Providers' keys while they are stored: sealed under the server's own key, each bound to its deployment."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.crypto import SECRET_BYTES

_CONTEXT = b"penstock/provider-keys/1"
_FORMAT = b"\x01"
_NONCE_BYTES = 12
_SHOWN = 4
_LEAST_SHOWN = 12


class KeysUnreadable(ValueError):
    """Sealed keys do not open: the server's key is another one, or the row is not theirs."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What of a deployment nobody is ever shown again."""

    keys: Sequence[str] = field(default=("",), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class KeyBox:
    """Seals a deployment's secrets, so that a stolen table calls nobody."""

    def __init__(self, secret_key: bytes) -> None:
        key = HKDF(SHA256(), SECRET_BYTES, salt=None, info=_CONTEXT).derive(secret_key)
        self._cipher = AESGCM(key)

    def seal(self, name: str, given: Secrets) -> bytes:
        """Return the secrets of the deployment of this name: format, nonce, ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = orjson.dumps({"keys": list(given.keys), "headers": dict(given.headers)})
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, _bound(name))

    def open(self, name: str, sealed: bytes) -> Secrets:
        """Return the secrets that were sealed for the deployment of this name.

        Raises:
            KeysUnreadable: not sealed under this server's key, for another name, or damaged.
        """
        start = len(_FORMAT) + _NONCE_BYTES
        nonce, ciphertext = sealed[len(_FORMAT) : start], sealed[start:]
        if not sealed.startswith(_FORMAT) or len(nonce) < _NONCE_BYTES:
            raise KeysUnreadable(_UNREADABLE)
        try:
            plain = orjson.loads(self._cipher.decrypt(nonce, ciphertext, _bound(name)))
        except InvalidTag as error:
            raise KeysUnreadable(_UNREADABLE) from error
        return Secrets(tuple(plain["keys"]), plain["headers"])


def hint(key: str) -> str:
    """Return what tells one key from another without giving it away."""
    return f"…{key[-_SHOWN:]}" if len(key) >= _LEAST_SHOWN else "…" if key else ""


def _bound(name: str) -> bytes:
    return _CONTEXT + b"\0" + name.encode()


_UNREADABLE = (
    "its stored keys do not open: they were sealed under another secret key. Restore"
    " PENSTOCK_SECRET_KEY (or `secret.key` in the data folder), or give them again"
)
