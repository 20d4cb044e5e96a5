"""How one dialect spells a stream: server-sent events, framed as its official clients want them."""

from typing import Any, Protocol

from starlette.types import Scope

from shared.errors import PenstockError


class Framing(Protocol):
    """One client's stream in one dialect: what it has had, and how to go on.

    The worker's log holds the events of the job's own dialect, already translated.
    """

    keep_alive: bytes
    """A sign of life that every client skips; empty where there is no such thing."""

    @property
    def begun(self) -> bool:
        """Tell whether something was said: from then on another answer cannot take its place."""
        ...

    @property
    def lacks_something(self) -> bool:
        """Tell whether `rest` is wanted although the whole stream was heard."""
        ...

    def opening(self) -> bytes:
        """Return what is sent before anything is heard, empty for most."""
        ...

    def encode(self, raw: bytes) -> bytes:
        """Return a JSON array of events, as logged, the way they are sent."""
        ...

    def rest(self, whole: dict[str, Any]) -> bytes:
        """Return what the whole answer has beyond the events so far.

        Raises:
            StreamBroken: it cannot be told apart from what was sent.
        """
        ...

    def end(self) -> bytes:
        """Return what stands at the end of a stream that went well."""
        ...

    def failed(self, error: PenstockError, scope: Scope) -> bytes:
        """Return the event that tells of a failure in the middle."""
        ...
