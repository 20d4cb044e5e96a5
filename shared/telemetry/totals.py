"""Adding up what all processes counted, the dead ones too, whose files are merged into one."""

import fcntl
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

ALIVE = "alive"
"""The suffix of the file that a process keeps locked while it lives."""
GAUGE = "gauge_"
"""How the names of files begin that hold gauges."""
# The library has no types for these.
open_file: Any = MmapedDict
_add_up: Any = MultiProcessCollector.merge
UNREADABLE = (OSError, struct.error, RuntimeError, UnicodeDecodeError)
"""What a file raises that a machine left half written when it lost power."""


@dataclass(frozen=True, slots=True)
class _Grave:
    """Which merged files count (`name`), and whose own files do not count any more (`buried`)."""

    name: str
    buried: frozenset[str]


def totals(folder: Path) -> list[Metric]:
    """Return every metric, added up over the processes of this folder. Blocks.

    A counter keeps what the dead have counted; a gauge is of the living only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _hold(folder, fcntl.LOCK_SH):
        grave = _read_grave(folder)
        files = [
            file
            for file in folder.glob("*.db")
            if _counts(file, grave)
            and not (file.name.startswith(GAUGE) and _is_dead(folder, _owner(file)))
            and _is_whole(file)
        ]
        return list(_add_up([str(file) for file in files]))


def bury_dead(folder: Path) -> int:
    """Merge the files of processes that are gone, so that there are never many; return how many.

    A crash at any point loses nothing and counts nothing twice: what counts is decided by the
    one small file that is replaced atomically.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _hold(folder, fcntl.LOCK_EX):
        grave = _read_grave(folder)
        _sweep(folder, grave)
        dead = [boot for boot in _boots(folder) if _is_dead(folder, boot)]
        if dead:
            fresh = _merge(folder, grave, frozenset(dead))
            written = folder / "grave.new"
            written.write_bytes(orjson.dumps({"name": fresh.name, "buried": sorted(fresh.buried)}))
            written.replace(folder / "grave.json")
            _sweep(folder, fresh)
        return len(dead)


@contextmanager
def _hold(folder: Path, how: int) -> Iterator[None]:
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, how)
        yield


def _read_grave(folder: Path) -> _Grave:
    try:
        stored = orjson.loads((folder / "grave.json").read_bytes())
        return _Grave(stored["name"], frozenset(stored["buried"]))
    except (FileNotFoundError, orjson.JSONDecodeError):
        return _Grave("", frozenset())


def _owner(file: Path) -> str:
    return file.stem.rpartition("_")[2]


def _counts(file: Path, grave: _Grave) -> bool:
    owner = _owner(file)
    return owner == grave.name if owner.startswith("grave") else owner not in grave.buried


def _is_whole(file: Path) -> bool:
    return _read(file) is not None


def _read(file: Path) -> list[tuple[str, float]] | None:
    try:
        rows = open_file.read_all_values_from_file(str(file))
        return [(key, value) for key, value, _, _ in rows]
    except UNREADABLE:
        return None


def _boots(folder: Path) -> set[str]:
    owners = {_owner(file) for file in folder.glob("*.db")}
    signs = {file.stem for file in folder.glob(f"*.{ALIVE}")}
    return {owner for owner in owners if not owner.startswith("grave")} | signs


def _is_dead(folder: Path, boot: str) -> bool:
    try:
        with (folder / f"{boot}.{ALIVE}").open("rb") as sign:
            fcntl.flock(sign, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _merge(folder: Path, grave: _Grave, dead: frozenset[str]) -> _Grave:
    fresh = _Grave(f"grave-{uuid4().hex}", dead)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for file in folder.glob("*.db"):
        if file.name.startswith(GAUGE):
            continue
        if _owner(file) in dead or (grave.name and _owner(file) == grave.name):
            kind = file.stem.partition("_")[0]
            for key, value in _read(file) or ():
                sums[kind][key] += value
    for kind, rows in sums.items():
        _write(folder / f"{kind}_{fresh.name}.db", rows.items())
    return fresh


def _write(file: Path, rows: Iterable[tuple[str, float]]) -> None:
    stored = open_file(str(file))
    for key, value in rows:
        stored.write_value(key, value, 0.0)
    stored.close()


def _sweep(folder: Path, grave: _Grave) -> None:
    for file in folder.glob("*.db"):
        if not _counts(file, grave):
            file.unlink(missing_ok=True)
    for boot in grave.buried:
        (folder / f"{boot}.{ALIVE}").unlink(missing_ok=True)
