"""The first time an input is read: every line is checked, and then it is decided what becomes of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import announcing, input_store
from shared.batches.lines import Line, LineChecker, LineError
from shared.batches.options import OnInvalid
from shared.batches.reading import START, BadInput, Reading, Skipped
from shared.batches.seen import Seen
from shared.database import Row, on_commit
from shared.events.event import EventType
from workers.batches.work import MOST_ERRORS, Overtaken, Work, gone, sorted_out

MOST_KEPT = 2000
MOST_KEPT_BYTES = 8 * 1024 * 1024
"""Of a small input the lines are kept, so that it is not read twice."""


@dataclass(slots=True)
class Findings:
    """What was found in an input; `kept` is None when it was too much to keep."""

    right: int = 0
    wrong: int = 0
    lines_read: int = 0
    bytes: int = 0
    errors: list[LineError] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    models: set[str] = field(default_factory=set)
    endpoints: set[str] = field(default_factory=set)
    kept: list[Reading] | None = field(default_factory=list)
    fatal: LineError | None = None

    def take(self, reading: Reading, lines: Sequence[Line], errors: Sequence[LineError]) -> None:
        """Add some lines."""
        self.right += len(lines)
        self.wrong += len(errors)
        self.lines_read = reading.place.lines
        for error in errors:
            self.skipped.add(error.line or 0)
        self.errors.extend(errors[: MOST_ERRORS - len(self.errors)])
        if len(self.models) <= 1:
            self.models.update(line.model for line in lines)
        if len(self.endpoints) <= 1:
            self.endpoints.update(line.endpoint for line in lines)
        self.bytes += sum(len(line.body) for line in lines)
        if self.kept is not None:
            self.kept.append(Reading(lines, reading.place))
            if self.right > MOST_KEPT or self.bytes > MOST_KEPT_BYTES:
                self.kept = None


async def check(work: Work, seen: Seen, findings: Findings) -> AsyncIterator[None]:
    """Read an input and note in `findings` what is in it; pause after every few lines.

    `seen` has the custom ids of earlier inputs, and those of this one when it has been read.
    """
    settings = work.resources.settings
    standing = await work.resources.standings.of(work.batch["tenant_id"])
    checker = LineChecker(
        work.resources.catalog, settings, work.options, seen=seen, standing=standing
    )
    # One that was let in before is in the total, and never too long.
    room = settings.max_batch_lines if work.input["checked"] else work.room
    readings = work.source().read(
        checker.check, start=START, first_line=work.first_line, skipped=Skipped()
    )
    try:
        async for reading in readings:
            lines, errors = await with_files(work, reading.items)
            findings.take(reading, lines, errors)
            # What is not kept is counted when it is read again.
            checker.counting = findings.kept is not None
            if findings.right + findings.wrong > room:
                raise _too_many(settings.max_batch_lines)
            yield
    except BadInput as error:
        findings.fatal = error.error
    except FileNotFoundError:
        findings.fatal = gone()


async def with_files(
    work: Work, items: Sequence[Line | LineError]
) -> tuple[list[Line], list[LineError]]:
    """Tell lines from errors, where a line about a file that is not there is one."""
    wanted = {item.file_id for item in items if isinstance(item, Line) and item.file_id}
    if not wanted or work.is_archive:
        return sorted_out(items)
    async with work.resources.database.reading() as db:
        there = await input_store.files_there(db, work.batch["tenant_id"], wanted)
    if wanted <= there:
        return sorted_out(items)
    return sorted_out([_checked(item, there) for item in items])


async def conclude(work: Work, findings: Findings) -> bool:
    """Let the batch begin with what was found, or leave the input out, or end the batch.

    Returns:
        Whether the input's lines are to be stored.

    Raises:
        Overtaken: the batch is no longer what it was when the reading began.
    """
    async with work.resources.database.transaction() as db:
        noted = await input_store.mark_checked(
            db, work.batch_id, work.number, lines=findings.right, first_line=work.first_line
        )
        if not noted:
            raise Overtaken
        if refused := _is_refused(work, findings):
            await _refuse(db, work, findings)
        else:
            await _begin(db, work, findings)
    return not refused


def _is_refused(work: Work, findings: Findings) -> bool:
    if findings.fatal is not None:
        return True
    if findings.wrong and work.options.on_invalid is OnInvalid.REJECT:
        return True
    return not findings.right


async def _refuse(db: AsyncConnection, work: Work, findings: Findings) -> None:
    errors = [*filter(None, (findings.fatal,)), *findings.errors]
    is_nothing = not findings.wrong and findings.fatal is None
    if is_nothing:
        errors.append(_empty(work))
    if work.is_first and not (is_nothing and work.batch["open"]):
        shown = work.errors_with(errors) or ()
        row = await input_store.fail(db, work.batch_id, invalid=findings.wrong, errors=shown)
        await announcing.announce(db, work.resources.announcer, _there(row), EventType.BATCH_FAILED)
        return
    # What runs already goes on without these lines.
    await input_store.skip(db, work.batch_id, work.number, lines_read=findings.lines_read)
    if findings.right:
        errors.insert(0, _left_out(findings))
    shown_too = {} if is_nothing else {"errors": work.errors_with(errors)}
    await _go_on(db, work, lines=0, invalid=findings.wrong, values=shown_too)


async def _begin(db: AsyncConnection, work: Work, findings: Findings) -> None:
    values: dict[str, object] = {
        name: _one(work.batch, name, found)
        for name, found in (("model", findings.models), ("endpoint", findings.endpoints))
    }
    if findings.errors:
        values["errors"] = work.errors_with(findings.errors)
    await _go_on(db, work, lines=findings.right, invalid=findings.wrong, values=values)


async def _go_on(
    db: AsyncConnection, work: Work, *, lines: int, invalid: int, values: Mapping[str, object]
) -> None:
    row = _there(
        await input_store.begin(db, work.batch_id, lines=lines, invalid=invalid, values=values)
    )
    on_commit(db, lambda: announcing.ring(work.resources.announcer, row))


def _there(row: Row | None) -> Row:
    if row is None:
        raise Overtaken
    return row


def _one(batch: Row, name: str, found: set[str]) -> str | None:
    # The one that every line names, if they all name one.
    every = found | ({batch[name]} if batch["total"] else set())
    return every.pop() if len(every) == 1 else None


def _empty(work: Work) -> LineError:
    message = (
        "There are no documents in the archive."
        if work.is_archive
        else "There are no lines in the file: write one request a line."
    )
    return LineError(None, "empty_file", message)


def _left_out(findings: Findings) -> LineError:
    # Else nothing would tell what became of the lines that nothing is wrong with.
    if findings.fatal is not None:
        message = "The addition was left out as a whole."
    else:
        lines = findings.right + findings.wrong
        message = (
            f"The addition of {lines} lines was left out as a whole: {findings.wrong} of them"
            " cannot be done."
        )
    return LineError(None, "addition_left_out", message)


def _too_many(limit: int) -> BadInput:
    message = f"The batch has more than {limit} lines: make several batches of it."
    return BadInput("too_many_lines", message)


def _checked(item: Line | LineError, there: set[str]) -> Line | LineError:
    if isinstance(item, LineError) or not item.file_id or item.file_id in there:
        return item
    message = f"There is no file `{item.file_id}`: upload it with POST /v1/files first."
    return LineError(item.number, "file_not_found", message, "file_id")
