"""Does the suite notice? Breaks Penstock on purpose, in a copy, and runs the tests that must fail then.

    python -m tests.faults.mutations [word]

Each row is one promise taken away. Without a word it runs all of them, with one those whose name
contains it; it ends with status 1 when a broken Penstock passes.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("api", "workers", "shared", "tests/fakes", "tests/faults", "tests/conftest.py")
FILES = ("tests/servers.py", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is taken away, by replacing a text in a file, and the test that must fail for it."""

    name: str
    path: str
    old: str
    new: str
    test: str


MUTATIONS = (
    Mutation(
        "fence: every claim counts as held",
        "shared/jobs/claim_store.py",
        "    claims = {job.claim for job in jobs}\n",
        "    return {job.claim: Standing.HELD for job in jobs}\n",
        "test_a_frozen_worker_writes_nothing",
    ),
    Mutation(
        "outbox: no row is written",
        "shared/outbox.py",
        "    promises = []\n",
        "    return [Promise(0, wakeup) for wakeup in wakeups]\n    promises = []\n",
        "test_wakeups_outlive_the_api",
    ),
    Mutation(
        "outbox: nobody relays it",
        "workers/scheduler/leader.py",
        '        Duty("relay", settings.sweep_s, desk.relay_outbox),\n',
        "",
        "test_wakeups_outlive_the_api",
    ),
    Mutation(
        "settle: never sent",
        "shared/limiter/limiter.py",
        '        how = "unknown" if actual is None else "exact"\n',
        '        return\n        how = "unknown" if actual is None else "exact"\n',
        "test_redis_down_while_calls_run",
    ),
    Mutation(
        "settle: unknown instead of exact",
        "shared/limiter/limiter.py",
        '        how = "unknown" if actual is None else "exact"\n',
        '        how = "unknown"\n',
        "test_settlements_reach_redis_exactly_once",
    ),
    Mutation(
        "attempt rows: not written before the send",
        "workers/journal.py",
        "        if sendable:\n            await attempt_store.start_attempts(db, sendable, self._owner)\n",
        "",
        "test_worker_dies_after_the_send",
    ),
    Mutation(
        "unknown calls: not flagged",
        "shared/jobs/timer_store.py",
        "            possibly_billed=True,\n",
        "            possibly_billed=False,\n",
        "test_worker_dies_before_the_result_is_stored",
    ),
    Mutation(
        "rescue: no lease is ever over",
        "workers/scheduler/leader.py",
        '        Duty("rescue", settings.sweep_s, desk.rescue),\n',
        "",
        "test_worker_dies_after_the_send",
    ),
    Mutation(
        "waiting: uses up an attempt",
        "workers/attempt/finish.py",
        "        failed=isinstance(decision, Retry),\n",
        "        failed=True,\n",
        "test_a_storm_of_429",
    ),
    Mutation(
        "data loss: lanes are not rebuilt",
        "workers/resources.py",
        ", under_way=partial(_calls_under_way, shared.database))",
        ")",
        "test_redis_forgets_everything",
    ),
    Mutation(
        "tenants: a list shows everybody's jobs",
        "shared/jobs/store.py",
        "        col(Job.tenant_id) == tenant_id, col(Job.deleted_at).is_(None)\n",
        "        col(Job.deleted_at).is_(None)\n",
        "test_scripts_are_lost",
    ),
    Mutation(
        "idempotency: keys are not reserved",
        "shared/jobs/submit.py",
        "        if not claims:\n            return {}\n",
        "        return {}\n",
        "test_one_key_fifty_times_at_once",
    ),
)


def main() -> int:
    """Run the mutations that were asked for; return 1 when one was not noticed."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    missed = 0
    for mutation in MUTATIONS:
        if word in mutation.name:
            began = time.monotonic()
            noticed, why = is_noticed(mutation)
            missed += not noticed
            verdict = "noticed" if noticed else "NOT NOTICED"
            print(f"{verdict:12} {time.monotonic() - began:5.0f} s  {mutation.name}: {why}")  # noqa: T201
    return min(missed, 1)


def is_noticed(mutation: Mutation) -> tuple[bool, str]:
    """Tell whether the test passes on the sound tree and fails on the broken one, and with what."""
    with copied_tree() as tree:
        file = tree / mutation.path
        sound = file.read_text("utf-8")
        if sound.count(mutation.old) != 1:
            return False, f"the text to replace is not there once in {mutation.path}"
        file.write_text(sound.replace(mutation.old, mutation.new), "utf-8")
        status, output = run_test(tree, mutation.test)
        errors = [line[1:].strip() for line in output.splitlines() if line.startswith("E  ")]
        return status == 1, errors[0][:160] if errors else output[-160:]


def run_test(tree: Path, test: str) -> tuple[int, str]:
    """Run one test on SQLite in a copy; return pytest's status (1: a test failed) and its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/faults", "-p", "no:cacheprovider"]
    command += ["-k", f"{test} and sqlite"]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@contextmanager
def copied_tree() -> Iterator[Path]:
    """Copy what the fault tests need into a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="penstock-mutation-") as folder:
        tree = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__")
        for part in (*PARTS, *FILES):
            target = tree / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, target, ignore=ignore)
            else:
                shutil.copy(ROOT / part, target)
        yield tree


if __name__ == "__main__":
    sys.exit(main())
