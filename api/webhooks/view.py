"""Webhooks as their tenant sees them: pure functions from rows to the public objects."""

from collections.abc import Sequence
from typing import Any

from shared.clock import rfc3339
from shared.database import Row
from shared.webhooks.secrets import SecretBox, hint


def public_endpoint(row: Row, box: SecretBox, *, secret: str | None = None) -> dict[str, Any]:
    """Return OpenAI's endpoint object and what we add to it; times are in seconds.

    `secret` is shown where it is given: in the answers to its making alone.
    """
    shown = {
        "id": row["id"],
        "object": "webhook_endpoint",
        "name": row["name"],
        "url": row["url"],
        "event_types": row["event_types"],
        "created_at": row["created_at"] // 1000,
        "updated_at": _seconds(row["updated_at"]),
        "signing_secret_hint": _hint(row["secret"], box),
        "enabled": row["disabled_at"] is None,
        "disabled_at": _seconds(row["disabled_at"]),
        "disabled_reason": row["disabled_reason"],
        "failing_since": _seconds(row["failing_since"]),
        "failures": row["failures"],
    }
    return shown if secret is None else {**shown, "signing_secret": secret}


def public_secret(row: Row, box: SecretBox) -> dict[str, Any]:
    """Return the secret that signs for single jobs.

    Raises:
        SecretUnreadable: it was sealed under another server key.
    """
    secret = box.open(row["secret"])
    return {
        "object": "webhook_secret",
        "signing_secret": secret,
        "signing_secret_hint": hint(secret),
        "old_secret_active_until": rfc3339(row["old_secret_until"]),
    }


def public_delivery(row: Row) -> dict[str, Any]:
    """Return a delivery as lists show it."""
    return {
        "id": row["id"],
        "object": "webhook_delivery",
        "webhook_endpoint_id": row["endpoint_id"],
        "url": row["url"],
        "event_id": row["event_id"],
        "event_type": row["event_type"],
        "job_id": row["job_id"],
        "batch_id": row["batch_id"],
        "state": row["state"],
        "try_count": row["tries"],
        "created_at": rfc3339(row["created_at"]),
        "next_try_at": rfc3339(row["next_try_at"]),
        # While it is being sent again it has not finished.
        "finished_at": None if row["state"] == "pending" else rfc3339(row["finished_at"]),
    }


def whole_delivery(row: Row, tries: Sequence[Row]) -> dict[str, Any]:
    """Return a delivery with what is sent, byte for byte, and every try."""
    return {
        **public_delivery(row),
        "body": bytes(row["body"]).decode(),
        "tries": [_public_try(each) for each in tries],
    }


def _public_try(row: Row) -> dict[str, Any]:
    code = row["error"]
    return {
        "number": row["number"],
        "started_at": rfc3339(row["started_at"]),
        "total_ms": row["total_ms"],
        "status_code": row["status_code"],
        "response": row["response"],
        "ip": row["ip"],
        "error": code and {"code": code, "message": row["error_message"]},
        "manual": row["manual"],
    }


def _hint(sealed: bytes, box: SecretBox) -> str | None:
    # A rotation mends what cannot be read, for which the endpoint must be seen.
    return hint(box.open(sealed)) if box.opens(sealed) else None


def _seconds(ms: int | None) -> int | None:
    return None if ms is None else ms // 1000
