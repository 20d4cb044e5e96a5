"""What may be wrong with the upstream: it is silent, it fails now and then, or it allows only so many calls."""

import random
from dataclasses import dataclass

REFUSALS = {
    429: b"429 Too Many Requests\r\nretry-after: 1",
    500: b"500 Internal Server Error",
    503: b"503 Service Unavailable",
}
REFUSED = b'{"error":{"message":"not now","type":"server_error"}}'
SILENT = 0


@dataclass(slots=True)
class Trouble:
    """`status` 0: no answer. It strikes by chance, or, with `per_s`, whatever exceeds that in a second."""

    status: int
    share: float = 1.0
    per_s: int = 0
    second: int = 0
    seen: int = 0

    def strikes(self, now: float) -> bool:
        """Count a call at `now`, in seconds, and tell whether it is one to be treated so."""
        if not self.per_s:
            return random.random() < self.share
        if int(now) != self.second:
            self.second, self.seen = int(now), 0
        self.seen += 1
        return self.seen > self.per_s


def trouble_of(text: str) -> Trouble | None:
    """Read `hang`, `fail:503:0.2` (status and share), `limit:20` (calls a second), or nothing."""
    kind, *numbers = text.split(":")
    if kind == "hang":
        return Trouble(SILENT)
    if kind == "fail":
        return Trouble(int(numbers[0]), share=float(numbers[1]))
    if kind == "limit":
        return Trouble(429, per_s=int(numbers[0]))
    return None
