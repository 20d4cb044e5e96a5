"""Places for calls in a worker, and how many of them no lane may take that holds many already. Pure."""

from shared.jobs.transitions import Priority
from shared.settings import Settings

KEPT = 16


def left_to_others(reserve: float, rank: int) -> float:
    """Return the share of all room that work of a rank leaves to what is more urgent.

    Bulk work leaves the whole reserve, standard work the half of it: so a single job of either
    better rank finds a place beside any pile.
    """
    return reserve * rank / Priority.BULK.rank


def places(settings: Settings, priority: Priority) -> int:
    """Return how many calls a worker has open at a time before it takes no more of a priority."""
    share = left_to_others(settings.interactive_reserve, priority.rank)
    return max(1, int(settings.max_in_flight * (1 - share)))


def kept_of(most: int) -> int:
    """Return the part of `most` places, a sixteenth, that is for lanes which hold less than it."""
    return most // KEPT
