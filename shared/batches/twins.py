"""Which lines ask the same: those of one tenant and endpoint whose bodies are the same JSON."""

from hashlib import blake2b

import orjson

from shared.batches.lines import Line

KEY_BYTES = 16
COALESCED = "coalesced"
"""Why a line is held that waits for the answer to another."""


def twin_key(tenant_id: str, line: Line) -> str:
    """Return what is the same for just those lines that ask the same; the order of keys is no matter."""
    body = orjson.dumps(orjson.loads(line.body), option=orjson.OPT_SORT_KEYS)
    asked = b"\0".join((tenant_id.encode(), line.endpoint.encode(), body))
    return blake2b(asked, digest_size=KEY_BYTES).hexdigest()
