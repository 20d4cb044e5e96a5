"""Which documents are meant by the files and folders that a command names."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Self

from api.cli.errors import MISUSED, CommandError


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be read.

    `name` is its path below the folder that was named, with slashes; `identity` the whole path,
    links followed, which tells it from all others.
    """

    name: str
    path: Path
    identity: str

    def named(self, taken: Mapping[str, str]) -> Self:
        """Return it under a name that is no other's; `taken` are the names, with whose they are."""
        mine = self.identity
        return self if taken.get(self.name, mine) == mine else replace(self, name=mine)


@dataclass(slots=True)
class Found:
    """The documents in order, and what was passed over, each with the reason."""

    documents: list[Document] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def discover(named: Sequence[Path], *, beside: Collection[Path] = ()) -> Found:
    """Walk the folders, in order of their names; hidden files and what is `beside` are no documents.

    Raises:
        CommandError: something named is not there, or nothing is left.
    """
    found = Found()
    ours = {_text(each.resolve()) for each in beside}
    seen: set[str] = set()
    for document in chain.from_iterable(_below(root, found) for root in named):
        identity = document.identity
        if identity in ours:
            found.skipped.append(f"{document.name} (part of the task)")
        elif identity not in seen:
            seen.add(identity)
            found.documents.append(document)
    if not found.documents:
        where = ", ".join(map(str, named))
        raise CommandError(f"There are no documents in {where}.", exit_code=MISUSED)
    return found


def _below(root: Path, found: Found) -> Iterator[Document]:
    if root.is_file():
        yield Document(_text(Path(root.name)), root, _text(root.resolve()))
        return
    if not root.is_dir():
        raise CommandError(f"{root} is no file and no folder.", exit_code=MISUSED)

    def unreadable(error: OSError) -> None:
        found.skipped.append(f"{error.filename} ({error.strerror})")

    for folder, below, names in os.walk(root, onerror=unreadable):
        place = Path(folder)
        wanted = [name for name in sorted(below) if _is_wanted_folder(place / name, root, found)]
        below[:] = wanted
        for name in sorted(names):
            path = place / name
            if _is_wanted_file(path, root, found):
                yield Document(_text(path.relative_to(root)), path, _text(path.resolve()))


def _is_wanted_folder(path: Path, root: Path, found: Found) -> bool:
    reason = "hidden" if path.name.startswith(".") else "a link" if path.is_symlink() else None
    return _note(path, root, found, reason)


def _is_wanted_file(path: Path, root: Path, found: Found) -> bool:
    if path.name.startswith("."):
        return _note(path, root, found, "hidden")
    if not path.is_file():
        return _note(path, root, found, "no file")
    return _note(path, root, found, None if os.access(path, os.R_OK) else "not readable")


def _note(path: Path, root: Path, found: Found, reason: str | None) -> bool:
    if reason is not None:
        found.skipped.append(f"{_text(path.relative_to(root))} ({reason})")
    return reason is None


def _text(path: Path) -> str:
    """Spell a path in UTF-8: a name may hold any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
