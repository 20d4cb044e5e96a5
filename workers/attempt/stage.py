"""Who of the calls of one stream is told to the client: the first that speaks, and nobody after it."""

import asyncio
from typing import Any

from workers.attempt.deltas import JobDeltas
from workers.attempt.hold import Hold
from workers.attempt.stream import Heard
from workers.resources import WorkerResources

MOST_HELD = 64
"""So many chunks without a word count as speaking: nothing is held back for ever."""


class Stage:
    """One for a call and all that take its place.

    While another call may still take its place, what comes before the first word is held back:
    once something was told, no other answer may follow it.
    """

    def __init__(self, hold: Hold, resources: WorkerResources, *, holds_back: bool) -> None:
        self._hold = hold
        self._resources = resources
        self._holds_back = holds_back
        self.speaker: int | None = None
        self.spoken = asyncio.Event()

    def voice(self, number: int, heard: Heard, dropped: tuple[str, ...] = ()) -> "Voice":
        """Return what takes the chunks of one of the calls, which was not told what was dropped."""
        return Voice(self, number, heard, dropped, holds_back=self._holds_back)

    def take(self, number: int, dropped: tuple[str, ...]) -> bool:
        """Let a call speak, if nobody else does; False when another one was first."""
        if self.speaker is None:
            self.speaker = number
            self.deltas.dropped = dropped
            self._hold.told = True
            self.spoken.set()
        return self.speaker == number

    @property
    def deltas(self) -> JobDeltas:
        """Where the claim's chunks go."""
        if self._hold.deltas is None:
            job = self._hold.job
            self._hold.deltas = self._resources.deltas.of(job.id, job.version)
        return self._hold.deltas


class Voice:
    """The chunks of one call on their way to the client, or to nobody."""

    def __init__(
        self,
        stage: Stage,
        number: int,
        heard: Heard,
        dropped: tuple[str, ...],
        *,
        holds_back: bool,
    ) -> None:
        self._stage = stage
        self._number = number
        self._heard = heard
        self._dropped = dropped
        self._waits = holds_back
        self._held: list[tuple[dict[str, Any], bool]] = []

    def add(self, chunk: dict[str, Any], *, at_once: bool) -> None:
        """Take a chunk; it is told if this call is the one that speaks."""
        self._held.append((chunk, at_once))
        speaks = self._heard.first_token_ms is not None or len(self._held) > MOST_HELD
        if speaks or not self._waits:
            self._tell()

    def end(self, *, whole: bool) -> None:
        """Tell what is left; `whole` says that the stream came to its proper end."""
        if whole:
            self._tell()
        if self._stage.speaker == self._number:
            self._stage.deltas.flush(last=whole)

    def _tell(self) -> None:
        if self._stage.take(self._number, self._dropped):
            for chunk, at_once in self._held:
                self._stage.deltas.add(chunk, at_once=at_once)
        self._held.clear()
