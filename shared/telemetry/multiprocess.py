"""Numbers that many processes share: each writes files of its own, whoever is asked adds them up."""

import fcntl
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4
from weakref import finalize

from prometheus_client import values
from prometheus_client.mmap_dict import mmap_key

from shared.telemetry.totals import ALIVE, bury_dead, open_file


def share(folder: Path) -> None:
    """Keep every metric that this process makes from now on in `folder`, beyond its death.

    Call it once in an entry point, before any metric is made and after every fork. The files
    are named by a uuid of this boot: process numbers repeat from container to container.
    """
    bury_dead(folder)
    boot = uuid4().hex
    # Locked before it has its name: nobody may take a process that just starts for a dead one.
    unborn = folder / f"{boot}.unborn"
    sign_of_life = unborn.open("wb")
    fcntl.flock(sign_of_life, fcntl.LOCK_EX)
    unborn.rename(folder / f"{boot}.{ALIVE}")
    files: dict[str, Any] = {ALIVE: sign_of_life}
    values.ValueClass = kept = _value_class(folder, boot, files)
    # Not at exit: a thread that still counts then must not stumble.
    finalize(kept, _close, files).atexit = False


def _close(files: dict[str, Any]) -> None:
    for file in files.values():
        file.close()


def _value_class(folder: Path, boot: str, files: dict[str, Any]) -> type:
    lock = Lock()

    class SharedValue:
        """A number in a memory-mapped file: what was counted survives a SIGKILL."""

        _multiprocess = True

        def __init__(self, typ: str, *key: Any, multiprocess_mode: str = "", **_: Any) -> None:
            self._key = mmap_key(*key)
            # The library reads from a file's name how gauges are to be added up.
            kind = f"{typ}_{multiprocess_mode}" if multiprocess_mode else typ
            with lock:
                if kind not in files:
                    files[kind] = open_file(str(folder / f"{kind}_{boot}.db"))
                self._file = files[kind]
                # The number has its place from now on, and is shown even while it is nought.
                self._file.read_value(self._key)

        def inc(self, amount: float) -> None:
            with lock:
                # Read back, not remembered: two metrics of one name in a process add up.
                value = self._file.read_value(self._key)[0] + amount
                self._file.write_value(self._key, value, 0.0)

        def set(self, value: float, timestamp: float | None = None) -> None:
            with lock:
                self._file.write_value(self._key, value, timestamp or 0.0)

        def get(self) -> float:
            with lock:
                value: float = self._file.read_value(self._key)[0]
            return value

        def set_exemplar(self, exemplar: object) -> None:
            """Exemplars are not kept."""

        def get_exemplar(self) -> None:
            return None

    return SharedValue
