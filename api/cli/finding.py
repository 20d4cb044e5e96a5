"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is: `warn` works and may not be wanted, `fail` does not work or loses work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: about what, how bad, and in plain words what is so and what to do."""

    level: Level
    part: str
    words: str


def ok(part: str, words: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, part, words)


def warn(part: str, words: str) -> Finding:
    """It works, and may not be wanted so."""
    return Finding(Level.WARN, part, words)


def fail(part: str, words: str) -> Finding:
    """It does not work, or not for long."""
    return Finding(Level.FAIL, part, words)


def skew(part: str, *, theirs_ms: int, before_ms: int, after_ms: int) -> Finding:
    """Compare a clock with ours, read before and after: what the round trip explains is no skew."""
    ahead = max(theirs_ms - after_ms, 0) - max(before_ms - theirs_ms, 0)
    where = "ahead of" if ahead > 0 else "behind"
    words = f"the clock is {abs(ahead) / 1000:.1f} s {where} this machine's"
    if abs(ahead) > FAIL_SKEW_MS:
        return fail(part, f"{words}: expiry times and logs will not fit; keep time by NTP")
    if abs(ahead) > WARN_SKEW_MS:
        return warn(part, f"{words}: keep time by NTP")
    return ok(part, "the clock agrees with this machine's")


WARN_SKEW_MS, FAIL_SKEW_MS = 1000, 5000
