"""What a run of `penstock process` has done, beside its results: enough to go on after any kill.

A file of JSON lines to which each step is added once it has happened; a last line that was cut
short is left out. What has two ends (making a batch, trying again) is noted before and after.
"""

import fcntl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import orjson

from api.cli.errors import MISUSED, CommandError
from shared.ids import new_id

FIRST = b'{"step":"begin",'
VERSION = 1
LONGEST_CUSTOM_ID = 256


@dataclass(slots=True)
class Upload:
    """A document as it was uploaded, or why it was refused; `batch` is the number of its batch."""

    name: str
    path: str
    size: int
    changed_ns: int
    sha256: str
    file_id: str | None = None
    error: dict[str, Any] | None = None
    batch: int | None = None

    @property
    def custom_id(self) -> str:
        """What its line in a batch is called."""
        return self.name if len(self.name) <= LONGEST_CUSTOM_ID else str(self.file_id)


@dataclass(slots=True)
class MadeBatch:
    """A batch of some files, its id once it is known, and how far its results were read."""

    number: int
    file_ids: list[str]
    id: str | None = None
    after: int = 0


@dataclass(slots=True)
class RunLog:
    """The log, and what it says so far; `at` is how many bytes of the results it knows of."""

    path: Path
    file: IO[bytes]
    run: str = ""
    task: str = ""
    at: int = 0
    uploads: dict[str, Upload] = field(default_factory=dict)
    batches: dict[int, MadeBatch] = field(default_factory=dict)
    last_number: int = 0
    retrying: list[int] = field(default_factory=list)
    by_file_id: dict[str, Upload] = field(default_factory=dict)
    refused: dict[str, Upload] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, *, task: str) -> Self:
        """Open the log of a task, a new one if there is none.

        Raises:
            CommandError: it is another task's, another process has it open, or it cannot be used.
        """
        try:
            file = path.open("a+b", buffering=0)
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror}."
            raise CommandError(message, exit_code=MISUSED) from error
        log = cls(path, file)
        try:
            log._begin(task)
        except BaseException:
            file.close()
            raise
        return log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def uploaded(self, upload: Upload, *, at: int) -> None:
        """Note that a document is with the service, or was refused and has its line."""
        self._add("upload", at=at, **asdict(upload))

    def forget(self, path: str) -> None:
        """Note that a document counts as never uploaded: it has changed, or is tried again."""
        self._add("forget", path=path)

    def making(self, file_ids: list[str]) -> MadeBatch:
        """Note that a batch is about to be made; return it."""
        number = self.last_number + 1
        self._add("making", number=number, file_ids=file_ids)
        return self.batches[number]

    def made(self, number: int, batch_id: str) -> None:
        """Note the id of a batch."""
        self._add("made", number=number, batch_id=batch_id)

    def void(self, number: int) -> None:
        """Note that a batch was refused as a whole: its documents need another."""
        self._add("void", number=number)

    def read(self, number: int, after: int, *, at: int) -> None:
        """Note how far a batch's results were read, and how long the results file is by now."""
        self._add("read", number=number, after=after, at=at)

    def rewritten(self, *, at: int) -> None:
        """Note how long the results file is by now."""
        self._add("rewritten", at=at)

    def retrying_begins(self, numbers: list[int]) -> None:
        """Note that what failed in some batches is about to be tried again."""
        self._add("retrying", numbers=numbers)

    def retried(self, *, at: int) -> None:
        """Note that it is being tried again, and that its old lines are gone."""
        self._add("retried", at=at)

    def begin_anew(self) -> None:
        """Note that no result counts as read: the file that had them does not have them any more."""
        self._add("anew")

    def is_current(self, upload: Upload) -> bool:
        """Tell whether this is what counts of a document: it has not changed since."""
        return self.uploads.get(upload.path) is upload

    def of(self, batch: MadeBatch) -> list[Upload]:
        """Return the documents of a batch, in its order."""
        return [self.by_file_id[file_id] for file_id in batch.file_ids]

    def key(self, number: int) -> str:
        """Return what makes a batch be made once, however often that is asked for."""
        return f"process-{self.run}-{number}"

    def _begin(self, task: str) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another `penstock process` is at work on {self.path.with_suffix('')}."
            raise CommandError(message, exit_code=MISUSED) from error
        entries = self._read()
        if not entries:
            self._add("begin", version=VERSION, run=new_id("run"), task=task)
        elif entries[0]["version"] != VERSION:
            raise self._of_another_task()
        for entry in entries:
            self._apply(entry)
        if self.task != task:
            if self.batches:
                raise self._of_another_task()
            # Nothing was asked: what is uploaded, or was refused, is so for every task.
            self._add("task", task=task)

    def _of_another_task(self) -> CommandError:
        results = self.path.with_suffix("")
        message = (
            f"{results} holds the results of another task: name another --out, or remove it"
            f" and {self.path}."
        )
        return CommandError(message, exit_code=MISUSED)

    def _read(self) -> list[dict[str, Any]]:
        """Return the whole entries, and cut off one that was not written to its end."""
        self.file.seek(0)
        said = self.file.read()
        if not said.startswith(FIRST[: len(said)]):
            raise CommandError(f"{self.path} is no log of a run: remove it.", exit_code=MISUSED)
        whole, _, _ = said.rpartition(b"\n")
        self.file.truncate(len(whole) + 1 if whole else 0)
        return [orjson.loads(line) for line in whole.split(b"\n") if line]

    def _add(self, step: str, **facts: object) -> None:
        entry = {"step": step, **facts}
        self.file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        self._apply(entry)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        facts = dict(entry)
        getattr(self, f"_on_{facts.pop('step')}")(**facts)

    def _on_begin(self, *, run: str, task: str, **_: object) -> None:
        self.run = run
        self.task = task

    def _on_task(self, *, task: str) -> None:
        self.task = task

    def _on_upload(self, *, at: int, **facts: Any) -> None:
        self.at = at
        upload = Upload(**facts)
        self.uploads[upload.path] = upload
        if upload.file_id is None:
            self.refused[upload.path] = upload
        else:
            self.by_file_id[upload.file_id] = upload

    def _on_forget(self, *, path: str) -> None:
        del self.uploads[path]
        self.refused.pop(path, None)

    def _on_making(self, *, number: int, file_ids: list[str]) -> None:
        self.last_number = number
        self.batches[number] = MadeBatch(number, file_ids)
        self._put_in(number, file_ids)

    def _on_made(self, *, number: int, batch_id: str) -> None:
        self.batches[number].id = batch_id

    def _on_void(self, *, number: int) -> None:
        self._put_in(None, self.batches.pop(number).file_ids)

    def _on_read(self, *, number: int, after: int, at: int) -> None:
        self.batches[number].after = after
        self.at = at

    def _on_rewritten(self, *, at: int) -> None:
        self.at = at

    def _on_retrying(self, *, numbers: list[int]) -> None:
        self.retrying = numbers

    def _on_retried(self, *, at: int) -> None:
        self.retrying = []
        self.at = at

    def _on_anew(self) -> None:
        self.at = 0
        for batch in self.batches.values():
            batch.after = 0
        # A refused document has no result to be read again: it is handed in again.
        for path in [*self.refused]:
            self._on_forget(path=path)

    def _put_in(self, number: int | None, file_ids: list[str]) -> None:
        for file_id in file_ids:
            self.by_file_id[file_id].batch = number
