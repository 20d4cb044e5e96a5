"""The files that `penstock process` reads and writes: none of them is taken for another."""

import os
from collections.abc import Iterable
from pathlib import Path

from api.cli.documents import read_text
from api.cli.errors import MISUSED, CommandError

ENDINGS = (".txt", ".md")
BEGINNINGS = ("/", "./", "../", "~/")


def read_instructions(given: str) -> tuple[str, Path | None]:
    """Return the instructions, and the file that they stand in if it is a file that was named.

    Raises:
        CommandError: there are none, or a file that is not there is meant.
    """
    file = _file_named(given)
    if file is None and _looks_like_a_path(given):
        message = f"There is no file {given}: --instructions takes a file, or the text itself."
        raise CommandError(message, exit_code=MISUSED)
    text = given if file is None else read_text(file)
    if not text.strip():
        where = "--instructions" if file is None else str(file)
        raise CommandError(f"{where} is empty: say what to read.", exit_code=MISUSED)
    return text, file


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


def refuse_foreign(out: Path) -> None:
    """Refuse results that would be written over what no run has written.

    Raises:
        CommandError: there is something in the file, and nothing beside it tells of a run.
    """
    if _holds_something(out) and not _holds_something(log_path(out)):
        message = (
            f"{out} is there and is of no run that can go on: name another --out, or remove it."
        )
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


def _holds_something(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        # Whoever then opens it says why that cannot be.
        return False


def _making(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _file_named(given: str) -> Path | None:
    try:
        # A pipe is as good as a file; of a folder it is said that it cannot be read.
        return Path(given) if given.strip() and Path(given).exists() else None
    except (OSError, ValueError):
        # Too long for a path, or with characters that none has: these are the instructions.
        return None


def _looks_like_a_path(given: str) -> bool:
    name = given.strip()
    if "\n" in name:
        return False
    # Words with a slash between them, as in "net and/or gross", are no path.
    is_one_word = not any(each.isspace() for each in name)
    return (
        name.lower().endswith(ENDINGS)
        or name.startswith(BEGINNINGS)
        or (is_one_word and (os.sep in name or "/" in name))
    )
