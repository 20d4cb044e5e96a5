"""The garbage collector of a long-lived process: less often, and never over what start-up made."""

import gc

YOUNG, MIDDLE, OLD = 20_000, 50, 100


def collect_less_often() -> None:
    """Call once everything is open; the service makes few cycles, and looked for them all the time.

    With Python's own thresholds a quarter of the CPU of a job went into collections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
