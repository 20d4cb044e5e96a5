"""What signs webhooks: secrets in the form of Standard Webhooks, sealed while they are stored."""

import secrets
from base64 import b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.crypto import SECRET_BYTES

PREFIX = "whsec_"
_CONTEXT = b"penstock/webhook-secrets/1"
_FORMAT = b"\x01"
_NONCE_BYTES = 12
_SHOWN = 4


class SecretUnreadable(Exception):
    """A sealed secret does not open: the server's key is another one, or the bytes were changed."""


class SecretBox:
    """Seals secrets under a key derived from the server's own, so that a stolen table signs nothing."""

    def __init__(self, secret_key: bytes) -> None:
        # Extracting first makes a key of full strength out of any length of setting.
        key = HKDF(SHA256(), SECRET_BYTES, salt=None, info=_CONTEXT).derive(secret_key)
        self._cipher = ChaCha20Poly1305(key)

    def seal(self, whsec: str) -> bytes:
        """Return the secret encrypted and authenticated: format, nonce, ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, whsec.encode(), _CONTEXT)

    def open(self, sealed: bytes) -> str:
        """Return the secret that was sealed.

        Raises:
            SecretUnreadable: not sealed under this server's key, or damaged.
        """
        start = len(_FORMAT) + _NONCE_BYTES
        nonce, ciphertext = sealed[len(_FORMAT) : start], sealed[start:]
        if not sealed.startswith(_FORMAT) or len(nonce) < _NONCE_BYTES:
            raise SecretUnreadable(_UNREADABLE)
        try:
            return self._cipher.decrypt(nonce, ciphertext, _CONTEXT).decode()
        except InvalidTag as error:
            raise SecretUnreadable(_UNREADABLE) from error

    def opens(self, sealed: bytes) -> bool:
        """Tell whether a secret can be read: one that cannot signs nothing and is not worth keeping."""
        try:
            self.open(sealed)
        except SecretUnreadable:
            return False
        return True


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in padded standard base64.

    Clients' libraries refuse the URL-safe alphabet and missing padding.
    """
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def hint(whsec: str) -> str:
    """Return what tells one secret from another without giving it away."""
    return f"{PREFIX}…{whsec.rstrip('=')[-_SHOWN:]}"


_UNREADABLE = (
    "A stored webhook secret does not open: it was sealed under another secret key."
    " Restore PENSTOCK_SECRET_KEY (or `secret.key` in the data folder), or rotate the secret."
)
