"""Signing by Standard Webhooks: the headers of one try."""

from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

USER_AGENT = "Penstock"


def signed_headers(
    event_id: str, body: bytes, secrets: Sequence[str], *, at_ms: int
) -> dict[str, str]:
    """Return what is sent with a body, signed with each of the secrets, the present one first.

    The id is the same at every try, so receivers can tell a repetition; the time is this try's.
    """
    # Of this zone, or the library takes it for what it is not.
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    text = body.decode()
    signatures = [Webhook(secret).sign(event_id, moment, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        # An answer is read for its first lines only.
        "accept-encoding": "identity",
        "webhook-id": event_id,
        "webhook-timestamp": str(at_ms // 1000),
        "webhook-signature": " ".join(signatures),
    }
