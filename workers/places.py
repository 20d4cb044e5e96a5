"""Places for calls in a worker, and how many of them no lane may take that holds many already. Pure."""

from shared.settings import Settings

KEPT = 16


def places(settings: Settings, *, interactive: bool) -> int:
    """Return how many calls a worker has open at a time: the reserve is for interactive work alone."""
    most = settings.max_in_flight
    return most if interactive else max(1, int(most * (1 - settings.interactive_reserve)))


def kept_of(most: int) -> int:
    """Return the part of `most` places, a sixteenth, that is for lanes which hold less than it."""
    return most // KEPT
