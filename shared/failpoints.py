"""Named points at which the fault tests kill a process; without a setting each is one dict look-up."""

import os
import signal
from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}


def arm(name: str) -> None:
    """Make this process kill itself (SIGKILL) when it next passes the point `name`; empty disarms."""
    _armed.clear()
    if name:
        _armed[name] = _die


def failpoint(name: str) -> None:
    """Mark a place where a crash must do no harm."""
    if _armed and name in _armed:
        _armed[name]()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
