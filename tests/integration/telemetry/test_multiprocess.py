"""Counters of many processes: added up, kept beyond a SIGKILL, few files however many processes."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram, values

from shared.telemetry import multiprocess
from shared.telemetry.totals import bury_dead, totals

SPAWN = multiprocessing.get_context("spawn")


def _count(folder: Path, amount: int, pipe: Connection) -> None:
    multiprocess.share(folder)
    Counter("made", "What was made", ["kind"], registry=None).labels("a").inc(amount)
    open_now = Gauge("open_now", "What is open", registry=None, multiprocess_mode="livesum")
    open_now.inc(amount + 1)
    open_now.dec()
    Histogram("took_seconds", "How long", registry=None, buckets=(1, 2)).observe(amount)
    pipe.send("counted")
    pipe.recv()


class Child:
    """A process that counted and lives until it is killed."""

    def __init__(self, folder: Path, amount: int) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self.process: BaseProcess = SPAWN.Process(target=_count, args=(folder, amount, theirs))
        self.process.start()
        assert self._pipe.recv() == "counted"

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self._pipe.close()


@pytest.fixture(autouse=True)
def _private_values() -> Iterator[None]:
    before = values.ValueClass
    yield
    values.ValueClass = before


def read(folder: Path) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for metric in totals(folder)
        for sample in metric.samples
    }


def count_and_go(folder: Path, amount: int) -> None:
    """Leave what a process leaves that counted and is gone."""
    before = values.ValueClass
    multiprocess.share(folder)
    Counter("made", "What was made", ["kind"], registry=None).labels("a").inc(amount)
    values.ValueClass = before
    gc.collect()


def databases(folder: Path) -> int:
    return len(list(folder.glob("*.db")))


def test_adds_up_the_living_and_the_killed(tmp_path: Path) -> None:
    first, second = Child(tmp_path, 2), Child(tmp_path, 1)
    both = {
        "made_totala": 3,
        "took_seconds_bucket1.0": 1,
        "took_seconds_bucket2.0": 2,
        "took_seconds_bucket+Inf": 2,
        "took_seconds_count": 2,
        "took_seconds_sum": 3,
    }
    # What is open is so only at those that live.
    assert read(tmp_path) == {**both, "open_now": 3}
    first.kill()
    assert read(tmp_path) == {**both, "open_now": 1}
    assert bury_dead(tmp_path) == 1
    assert read(tmp_path) == {**both, "open_now": 1}
    # Two of the grave, three of the one that lives.
    assert databases(tmp_path) == 5
    second.kill()
    assert read(tmp_path) == both
    assert bury_dead(tmp_path) == 1
    assert read(tmp_path) == both
    assert databases(tmp_path) == 2
    assert bury_dead(tmp_path) == 0


def test_a_new_process_buries_the_dead(tmp_path: Path) -> None:
    for _ in range(3):
        count_and_go(tmp_path, 1)
    multiprocess.share(tmp_path)
    assert databases(tmp_path) == 1
    assert len(list(tmp_path.glob("*.alive"))) == 1
    assert read(tmp_path)["made_totala"] == 3


@pytest.mark.parametrize("crash_at", ["replace", "unlink"])
def test_a_crash_during_the_burial_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash_at: str
) -> None:
    count_and_go(tmp_path, 1)
    bury_dead(tmp_path)
    count_and_go(tmp_path, 5)

    def crash(*_: object, **__: object) -> None:
        raise OSError("the machine lost its power")

    with monkeypatch.context() as patch:
        patch.setattr(Path, crash_at, crash)
        with pytest.raises(OSError, match="power"):
            bury_dead(tmp_path)
    assert read(tmp_path)["made_totala"] == 6
    bury_dead(tmp_path)
    assert read(tmp_path)["made_totala"] == 6
    assert databases(tmp_path) == 1


@pytest.mark.parametrize(
    "rest",
    [b"", b"\xff" * 64, b"\x40\x00\x00\x00" + b"\xff" * 60],
    ids=["empty", "nonsense", "torn"],
)
def test_a_broken_file_hides_no_other(tmp_path: Path, rest: bytes) -> None:
    count_and_go(tmp_path, 1)
    (tmp_path / "counter_0123.db").write_bytes(rest)
    assert read(tmp_path)["made_totala"] == 1
    bury_dead(tmp_path)
    assert read(tmp_path)["made_totala"] == 1
    assert databases(tmp_path) == 1


def test_two_metrics_of_one_name_in_a_process_add_up(tmp_path: Path) -> None:
    multiprocess.share(tmp_path)
    one, other = (Counter("made", "What was made", registry=None) for _ in range(2))
    one.inc()
    other.inc()
    one.inc()
    assert read(tmp_path) == {"made_total": 3}


def test_grows_beyond_its_first_size(tmp_path: Path) -> None:
    multiprocess.share(tmp_path)
    counter = Counter("made", "What was made", ["kind"], registry=None)
    for number in range(1500):
        counter.labels(f"kind-{number}").inc()
    assert len(read(tmp_path)) == 1500


def test_nothing_counted_is_nothing_shown(tmp_path: Path) -> None:
    assert totals(tmp_path / "new") == []
    assert bury_dead(tmp_path / "new") == 0
