"""Short-lived tokens for pages that cannot show a key: each opens the events of one job.

Nothing is stored: the server's key signs what the token says. A browser's `EventSource` repeats
the same URL when it reconnects, and sends the id of the last event that it saw; with an id of that
very job a token works for an hour more, without one for a minute.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass

import orjson

from shared.crypto import digest, same
from shared.errors import Unauthenticated

FRESH_MS = 60_000
RESUMES_MS = 60 * 60_000
LONGEST = 512
_PURPOSE = "event-token:"


@dataclass(frozen=True, slots=True)
class EventToken:
    """Whose key made it, for which job, and until when it opens a first connection."""

    tenant_id: str
    key_id: str
    job_id: str
    expires_at: int


def write_token(secret_key: bytes, token: EventToken) -> str:
    """Return the token as it stands in a URL."""
    said = orjson.dumps([token.tenant_id, token.key_id, token.job_id, token.expires_at])
    text = urlsafe_b64encode(said).rstrip(b"=").decode()
    return f"{text}.{_signature(secret_key, text)}"


def read_token(
    secret_key: bytes, text: str, *, job_id: str, resumes: bool, now_ms: int
) -> EventToken:
    """Return what a token says; `resumes` tells that the client was told something of this job.

    Raises:
        Unauthenticated: it is none of ours, of another job, or too old.
    """
    said, _, signature = text[:LONGEST].partition(".")
    if not said.isascii() or not same(_signature(secret_key, said), _ascii(signature)):
        raise _refused("This is not an event token of this service.")
    try:
        fields = orjson.loads(urlsafe_b64decode(said + "=" * (-len(said) % 4)))
    except (NotBase64, orjson.JSONDecodeError) as error:
        raise _refused("This is not an event token of this service.") from error
    token = EventToken(*fields)
    if token.job_id != job_id:
        raise _refused("This event token is for another job.")
    if now_ms >= token.expires_at + (RESUMES_MS if resumes else 0):
        raise _refused("This event token is too old: make a new one.")
    return token


def _signature(secret_key: bytes, said: str) -> str:
    return digest(secret_key, _PURPOSE + said)


def _ascii(text: str) -> str:
    # What is compared in constant time must be ASCII.
    return text if text.isascii() else ""


def _refused(detail: str) -> Unauthenticated:
    return Unauthenticated(detail, code="invalid_event_token")
