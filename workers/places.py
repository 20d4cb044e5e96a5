"""Places for calls: how many a worker has, what a lane may take of them, what is left in a lane for the more urgent. Pure."""

from shared.jobs.transitions import Priority
from shared.settings import Settings

KEPT = 16


def left_to_others(reserve: float, rank: int) -> float:
    """Return the share of a lane's room that work of a rank leaves to what is more urgent.

    Bulk work leaves the whole reserve, standard work the half of it: so a single job of either
    better rank finds a place beside any pile.
    """
    return reserve * rank / Priority.BULK.rank


def places(settings: Settings, *, interactive: bool) -> int:
    """Return how many calls a worker has open at a time: its reserve is for interactive work alone.

    Standard work has none here: the dispatcher counts one number of places for all that it gives.
    """
    most = settings.max_in_flight
    return most if interactive else max(1, int(most * (1 - settings.interactive_reserve)))


def kept_of(most: int) -> int:
    """Return the part of `most` places, a sixteenth, that is for lanes which hold less than it."""
    return most // KEPT
