"""The results file of a bulk run: a line a document, in the shape that `api.cli.documents` gives it."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from api.cli.documents import REFUSED
from api.cli.errors import MISUSED, CommandError
from api.cli.run_log import Upload

Line = dict[str, Any]
COMPLETED = "completed"


class Results:
    """An open results file; what was written is there, whatever becomes of us."""

    def __init__(self, path: Path, file: IO[bytes], size: int) -> None:
        self.path = path
        self.size = size
        self._file = file

    def write(self, lines: Iterable[Line]) -> int:
        """Add lines; return how long the file is then."""
        piece = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
        self._file.write(piece)
        self._file.flush()
        self.size += len(piece)
        return self.size

    def keep(self, wanted: Callable[[Line], bool]) -> int:
        """Leave out all other lines; return how long the file is then."""
        making = self.path.with_name(f"{self.path.name}.part")
        with making.open("wb") as file:
            for line in self:
                if wanted(line):
                    file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            self.size = file.tell()
        making.replace(self.path)
        self._file.close()
        self._file = _open(self.path)
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[Line]:
        with self.path.open("rb") as file:
            for line in file:
                yield orjson.loads(line)


@contextmanager
def open_results(path: Path, *, size: int) -> Iterator[Results]:
    """Open a results file and cut off what lies behind `size`: nobody noted that it was written.

    Its `size` is then 0 where the file is shorter than it should be: all is to be read again.

    Raises:
        CommandError: the file cannot be written.
    """
    try:
        file = _open(path)
        size = size if file.seek(0, os.SEEK_END) >= size else 0
        file.truncate(size)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise CommandError(message, exit_code=MISUSED) from error
    results = Results(path, file, size)
    try:
        yield results
    finally:
        results.close()


def line_of(upload: Upload, row: Mapping[str, Any], *, model: str) -> Line:
    """Turn a line of a batch's results into one about the document."""
    ok = row["status"] == COMPLETED
    body = (row["response"] or {}).get("body") or {}
    return {
        "file": upload.name,
        "status": row["status"],
        **({"data": body["data"]} if ok else {"error": _error(row, body)}),
        "model": model,
        "attempts": row.get("attempts"),
        "usage": row["usage"],
        "cost_usd": row["cost_usd"],
        "ms": row.get("ms"),
        "job": row["job_id"],
    }


def refused_line(upload: Upload) -> Line:
    """Return the line of a document that the service did not take."""
    nothing = dict.fromkeys(("usage", "cost_usd", "ms", "job"))
    head = {"file": upload.name, "status": REFUSED, "error": upload.error}
    return {**head, "model": None, "attempts": 0, **nothing}


def _error(row: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    error = row["error"] or body.get("error") or {}
    return {"code": error.get("code"), "message": error.get("message")}


def _open(path: Path) -> IO[bytes]:
    return path.open("ab")
