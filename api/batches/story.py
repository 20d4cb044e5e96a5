"""The story of one batch for one client: a snapshot, then what is told of it, to its end."""

from collections.abc import Sequence

from api.events import blocks
from api.events.place import Place, ResetReason
from api.events.story import Counter
from api.waiting import Watch
from shared.batches import event_store, store
from shared.batches.view import public_batch
from shared.database import Database, Row
from shared.errors import NotFound
from shared.events.event import FINAL_BATCH_EVENTS

_FINAL = frozenset(each.value for each in FINAL_BATCH_EVENTS)


class BatchStory:
    """What is still to be told, in steps.

    `place` is where the client stands, None for nowhere; `lost` says that it stands where nobody
    can.
    """

    __slots__ = ("_behind", "_counter", "_database", "_ids", "_looked", "_number", "_reset", "over")

    def __init__(
        self,
        database: Database,
        counter: Counter,
        batch: Row,
        place: Place | None,
        *,
        lost: bool = False,
    ) -> None:
        self.over = False
        self._database = database
        self._counter = counter
        self._ids: tuple[str, str] = batch["tenant_id"], batch["id"]
        self._reset = ResetReason.UNKNOWN if lost else None
        self._number: int | None = None
        if place is not None:
            self._stand_at(place, batch["version"])
        self._behind = True
        self._looked = 0

    @property
    def job_id(self) -> str:
        """Whose story it is."""
        return self._ids[1]

    @property
    def streams(self) -> bool:
        """Tell that there are no deltas of a batch."""
        return False

    def pending(self, watch: Watch) -> bool:
        """Tell whether there is a step to take."""
        return self._behind or watch.stale or watch.number > self._looked

    async def step(self, watch: Watch) -> list[bytes]:
        """Look at what there is; return the blocks that are to be sent.

        Raises:
            NotFound, Gone: the batch is no more.
            Exception: what the database raised; then the same step is the next one again.
        """
        heard, number = watch.number, self._number
        async with self._database.looking() as db:
            batch = await store.get(db, *self._ids)
            if batch is None:
                raise NotFound(f"There is no batch `{self.job_id}`.")
            if number is not None:
                rows = await event_store.events_of(db, self.job_id, after=number)
            else:
                last = await event_store.last_of(db, self.job_id)
                rows = () if last is None else (last,)
        watch.stale = False
        # The two were read one after the other.
        self._behind = any(row["number"] > batch["version"] for row in rows)
        self._looked = max(heard, batch["version"])
        return self._tell_whole(batch, rows) if number is None else self._tell(rows, batch)

    def _stand_at(self, place: Place, version: int) -> None:
        if place.delta or place.number > version:
            self._reset = ResetReason.UNKNOWN
        elif place.number < version - event_store.KEPT:
            self._reset = ResetReason.TRIMMED
        else:
            self._number = place.number

    def _tell_whole(self, batch: Row, last: Sequence[Row]) -> list[bytes]:
        ended = batch["finished_at"] is not None
        told = []
        if self._reset is not None:
            told.append(blocks.reset(self.job_id, self._reset))
            self._counter.sent("reset", 1)
        told.append(blocks.snapshot(public_batch(batch), batch["version"], ended=ended))
        self._counter.sent("snapshot", 1)
        self._reset, self._number = None, batch["version"]
        # Who comes when all is over is told the end once more, as long as it is kept.
        return told + self._tell(last, batch) if ended else told

    def _tell(self, rows: Sequence[Row], batch: Row) -> list[bytes]:
        for row in rows:
            self._counter.sent(row["type"], 1)
            self._number = row["number"]
        self.over = rows[-1]["type"] in _FINAL if rows else batch["finished_at"] is not None
        return [blocks.told(self.job_id, row) for row in rows]
