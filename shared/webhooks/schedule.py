"""When a delivery that failed is tried again; pure."""

from collections.abc import Sequence

from shared.webhooks.outcome import Judgement

JITTER = 0.1


def next_try_s(
    judgement: Judgement,
    *,
    tries: int,
    delays: Sequence[float],
    rest_s: float,
    retry_after_s: float | None,
    chance: float,
) -> float | None:
    """Return in how many seconds the next try is, after `tries` of them; None if there is none.

    `delays` are the waits between one try and the next, `chance` is in 0..1 and spreads them by
    a tenth either way; one that throttles is left alone for `rest_s` at least. What the receiver
    asks for is honoured up to twice the wait, so that none can park us.
    """
    if judgement in (Judgement.GONE, Judgement.DELIVERED) or tries > len(delays):
        return None
    wait_s = delays[tries - 1] * (1 - JITTER + 2 * JITTER * chance)
    if judgement is Judgement.THROTTLED:
        wait_s = max(wait_s, rest_s)
    return _within(wait_s, retry_after_s)


def target_rests_s(judgement: Judgement, *, rest_s: float, retry_after_s: float | None) -> float:
    """Return for how long nothing at all is sent to the target of a try; mostly 0."""
    return _within(rest_s, retry_after_s) if judgement is Judgement.THROTTLED else 0.0


def _within(wait_s: float, asked_s: float | None) -> float:
    return wait_s if asked_s is None else min(max(asked_s, wait_s), 2 * wait_s)
