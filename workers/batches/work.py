"""One input of a batch that is being read, and what everything about it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from shared.batches.archive_source import ArchiveSource
from shared.batches.lines import Line, LineError
from shared.batches.model import BatchState, InputKind
from shared.batches.options import BatchOptions
from shared.batches.reading import LinesSource
from shared.database import Row
from shared.resources import Resources

MOST_ERRORS = 1000
"""So many errors a batch shows; `invalid` says how many there are."""
FIRST_INPUT = 0


class Overtaken(Exception):
    """Somebody else has moved the batch on: begin again with what it is now."""


@dataclass(frozen=True, slots=True)
class Work:
    """An input, the row of its batch as it was a moment ago, and the number of its first line."""

    resources: Resources
    batch: Row
    input: Row
    first_line: int

    @property
    def batch_id(self) -> str:
        """The batch."""
        return str(self.batch["id"])

    @property
    def number(self) -> int:
        """Which of its inputs."""
        return int(self.input["number"])

    @property
    def is_archive(self) -> bool:
        """Tell whether the input is a zip file."""
        return bool(self.input["kind"] == InputKind.ZIP)

    @property
    def is_first(self) -> bool:
        """Tell whether the batch stands and falls with this input."""
        return self.number == FIRST_INPUT and self.batch["state"] == BatchState.VALIDATING

    @property
    def room(self) -> int:
        """How many lines the batch may still take."""
        return self.resources.settings.max_batch_lines - int(self.batch["total"])

    @property
    def options(self) -> BatchOptions:
        """What holds for its lines; the task of a batch is not meant for lines that are requests."""
        options = BatchOptions.model_validate(self.batch["options"])
        if self.input["kind"] == InputKind.JSONL:
            return options.model_copy(update={"task": None})
        return options

    def source(self) -> LinesSource | ArchiveSource:
        """Open the input."""
        blobs, settings = self.resources.blobs, self.resources.settings
        blob = self.input["blob"]
        if self.is_archive:
            return ArchiveSource(blobs, settings, self.batch, self.number, blob)
        return LinesSource(blobs, settings, blob, self.input["bytes"])

    def errors_with(self, more: Sequence[LineError]) -> list[dict[str, JsonValue]] | None:
        """Return what the batch shows as its errors when these come to them."""
        errors = [*(self.batch["errors"] or ()), *(each.public() for each in more)]
        return errors[:MOST_ERRORS] or None


def sorted_out(
    items: Sequence[Line | LineError],
) -> tuple[list[Line], list[LineError]]:
    """Tell the lines from the errors."""
    lines = [item for item in items if isinstance(item, Line)]
    return lines, [item for item in items if isinstance(item, LineError)]


def gone() -> LineError:
    """Return what is wrong with an input whose bytes are not there any more."""
    message = "The file was deleted before it was read: upload it again."
    return LineError(None, "input_file_not_found", message)
