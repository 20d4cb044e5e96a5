"""How far a pile of work is: a bar at a terminal, a line now and then anywhere else."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

WINDOW_S = 30.0
"""The pace is that of so many seconds."""
SAY_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many there are, how many ended well and how many otherwise, and what they cost so far."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cost_usd: Decimal | None = None

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.done + self.failed


def tally_of(batch: dict[str, Any]) -> Tally:
    """Return how a batch stands."""
    counts, cost = batch["request_counts"], batch["cost_usd"]
    cost_usd = None if cost is None else Decimal(cost)
    return Tally(counts["total"], counts["completed"], counts["failed"], cost_usd)


def together(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    every = list(tallies)
    costs = [each.cost_usd for each in every if each.cost_usd is not None]
    return Tally(
        sum(each.total for each in every),
        sum(each.done for each in every),
        sum(each.failed for each in every),
        sum(costs, Decimal(0)) if costs else None,
    )


class Pace:
    """How many end in a second, over the last half minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now: float, ended: int) -> None:
        """Note how many have ended by now."""
        self._seen.append((now, ended))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_S:  # noqa: PLR2004  one to subtract from
            self._seen.popleft()

    @property
    def per_s(self) -> float | None:
        """Return the pace, None while nothing ends."""
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        if last_at <= first_at or last <= first:
            return None
        return (last - first) / (last_at - first_at)


class Meter:
    """Shows tallies as they come; use it as a context manager."""

    def __init__(self, out: Console, title: str) -> None:
        self._out = out
        self._title = title
        self._pace = Pace()
        self._bar = _bar(out) if out.is_terminal else None
        self._task = None if self._bar is None else self._bar.add_task(title, total=None, said="")
        self._said = ""
        self._said_at = monotonic()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, tally: Tally, *, title: str | None = None) -> None:
        """Show how it stands now."""
        now = monotonic()
        self._pace.see(now, tally.ended)
        said = self._describe(tally)
        self._title = title or self._title
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                description=self._title,
                total=tally.total or None,
                completed=tally.ended,
                said=said,
            )
        elif said != self._said and now >= self._said_at + SAY_EVERY_S:
            self._out.print(f"{self._title}: {said}", markup=False, soft_wrap=True)
            self._said, self._said_at = said, now

    def _describe(self, tally: Tally) -> str:
        parts = [f"{tally.done:,} of {tally.total:,} done", f"{tally.failed:,} failed"]
        per_s = self._pace.per_s
        if per_s is not None:
            left_s = (tally.total - tally.ended) / per_s
            parts += [f"{per_s:,.3g}/s", f"ETA {duration(left_s)}"]
        if tally.cost_usd is not None:
            parts.append(f"${tally.cost_usd:.4f}")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Spell a time as 0:07 or 2:03:04."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bar(out: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(30), TextColumn("{task.fields[said]}"))
    return Progress(*columns, console=out, refresh_per_second=5)
