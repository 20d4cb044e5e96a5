"""The files that `penstock process` reads and writes: none of them is taken for another."""

import os
from collections.abc import Iterable
from pathlib import Path

from api.cli.errors import MISUSED, CommandError


def refuse_shared(out: Path, table: Path | None, read: Iterable[Path]) -> None:
    """Refuse to write two things into one file, or over one that is to be read.

    Raises:
        CommandError: two of them are the same file, however they are spelled.
    """
    # Each is made beside itself, and then moved to where it belongs.
    written = [(each, "--out") for each in (out, log_path(out), _making(out))]
    for path in () if table is None else (table, _making(table)):
        for other, option in written:
            if is_same(path, other):
                message = f"--csv {table} and {option} {out} use the same file: name another."
                raise CommandError(message, exit_code=MISUSED)
    if table is not None:
        written += [(table, "--csv"), (_making(table), "--csv")]
    for path in read:
        for other, option in written:
            if is_same(path, other):
                message = f"{option} would overwrite {path}, which is to be read: name another."
                raise CommandError(message, exit_code=MISUSED)


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file, which need not be there yet; links are followed."""
    try:
        return one.samefile(other)
    except OSError:
        # Some file systems do not tell letters by their case.
        return os.path.realpath(one).casefold() == os.path.realpath(other).casefold()


def log_path(out: Path) -> Path:
    """Return where it stands how far a run is."""
    return out.with_name(f"{out.name}.state")


def _making(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
