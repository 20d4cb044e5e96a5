"""Keyed digests of secrets that are only ever compared, never read back."""

import hmac
import secrets
from hashlib import sha256
from pathlib import Path

SECRET_BYTES = 32


def digest(secret_key: bytes, value: str) -> str:
    """Return the HMAC-SHA256 of a value, in hexadecimal.

    A random 256-bit secret needs no slow hash; the server's key makes a stolen table useless.
    """
    return hmac.new(secret_key, value.encode(), sha256).hexdigest()


def same(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left, right)


def load_or_create_secret(path: Path) -> bytes:
    """Return the server's own key from its file, made on first use and readable by us alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}")
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_hex(SECRET_BYTES))
        try:
            # Two processes may start at once: the first one's key wins.
            path.hardlink_to(temporary)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    return bytes.fromhex(path.read_text().strip())
