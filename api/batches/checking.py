"""Checking lines while others are served: in short turns, with what was found out so far."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from shared.batches.lines import Line, LineError
from shared.batches.options import OnInvalid
from shared.errors import BadRequest

TURN_S = 0.005
OR_SKIP = "Correct them, or leave them out with `on_invalid` = `skip`."
"""What to do about lines that cannot be done, where they may be skipped."""
MOST_ERRORS = 100
"""So many lines are named when they cannot be done; the rest are only counted."""


class Turns:
    """Gives the event loop to others whenever a turn has been long enough."""

    def __init__(self) -> None:
        self._began = monotonic()

    async def breathe(self) -> None:
        """Let others have a turn, if this one was long enough."""
        if monotonic() - self._began > TURN_S:
            await asyncio.sleep(0)
            self._began = monotonic()


@dataclass(slots=True)
class Findings:
    """What the check of some lines found: `errors` are the first, `tokens` those of valid lines.

    `models` are the first that they name.
    """

    total: int = 0
    invalid: int = 0
    tokens: int = 0
    errors: list[LineError] = field(default_factory=list)
    models: set[str] = field(default_factory=set)

    @property
    def model(self) -> str | None:
        """The one model that every line names, if they all name one."""
        return next(iter(self.models)) if len(self.models) == 1 else None

    def add(self, checked: Line | LineError) -> None:
        """Count a line."""
        self.total += 1
        if isinstance(checked, Line):
            self.tokens += checked.tokens
            if len(self.models) <= 1:
                self.models.add(checked.model)
            return
        self.invalid += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(checked)


def refuse_invalid(findings: Findings, on_invalid: OnInvalid, *, advice: str) -> None:
    """Refuse lines that cannot be done, unless they are to be skipped; `advice` says what to do then.

    Raises:
        BadRequest: it names the lines; nothing was stored.
    """
    if not findings.errors or on_invalid is OnInvalid.SKIP:
        return
    first = findings.errors[0]
    detail = (
        f"{findings.invalid} of the {findings.total} requests cannot be done, and nothing was"
        f" stored. The first of them is request {first.line}: {first.message} {advice}"
    )
    shown = [error.public() for error in findings.errors]
    raise BadRequest(
        detail, code="invalid_lines", param="requests", extra={"line_errors": [*shown]}
    )
