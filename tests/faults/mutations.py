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
from pathlib import Path

from tests.faults.around_mutations import AROUND_MUTATIONS
from tests.faults.mutation import Mutation
from tests.faults.pile_mutations import PILE_MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("api", "workers", "shared", "tests/fakes", "tests/faults", "tests/integration")
FILES = ("tests/conftest.py", "tests/servers.py", "pyproject.toml")


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
        '"failures": hold.failures, **rest}',
        '"failures": max(1, hold.failures), **rest}',
        "test_a_storm_of_429",
    ),
    Mutation(
        "data loss: lanes are not rebuilt",
        "workers/resources.py",
        "            under_way=partial(_calls_under_way, shared.database),\n",
        "",
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
    Mutation(
        "events: none is written",
        "shared/jobs/announcer.py",
        "        await event_store.add(db, [_event_row(change, at) for change in changes])\n",
        "",
        "test_scripts_are_lost",
    ),
    Mutation(
        "webhooks: no delivery is written",
        "shared/jobs/announcer.py",
        "            await fanout_store.add_pending(db, due)\n",
        "",
        "test_scripts_are_lost",
    ),
    Mutation(
        "webhooks: nobody looks for what is due",
        "workers/scheduler/leader.py",
        '        Duty("webhooks", settings.tick_s * WEBHOOK_TICKS, desk.wake_deliverers),\n',
        "",
        "test_a_worker_dies_between_post_and_record",
    ),
    Mutation(
        "webhooks: the time is not part of what is signed",
        "shared/webhooks/signing.py",
        "    moment = datetime.fromtimestamp(at_ms // 1000, UTC)\n",
        "    moment = datetime.fromtimestamp(0, UTC)\n",
        "test_scripts_are_lost",
    ),
    Mutation(
        "webhooks: ids are not those of the events",
        "workers/delivery/desk.py",
        "headers = signed_headers(claim.event_id, claim.body,",
        'headers = signed_headers(f"{claim.event_id}0", claim.body,',
        "test_scripts_are_lost",
    ),
    Mutation(
        "webhooks: every claim counts as held",
        "shared/webhooks/tries_store.py",
        "    return {(row.id, row.claim_number) for row in rows}\n",
        "    return {_key(report.claim) for report in reports}\n",
        "test_a_frozen_deliverer_writes_nothing",
    ),
    Mutation(
        "webhooks: any address will do",
        "shared/webhooks/egress.py",
        "        if not public or port not in self._policy.allowed_ports:\n",
        "        if port not in self._policy.allowed_ports:\n",
        "test_no_connection_is_opened_inside",
    ),
    Mutation(
        "webhooks: redirects are followed",
        "shared/webhooks/delivery.py",
        "allow_redirects=False",
        "allow_redirects=True",
        "test_a_redirect_is_not_followed",
    ),
    Mutation(
        "webhooks: 410 is a failure like others",
        "shared/webhooks/outcome.py",
        "        return Judgement.GONE\n",
        "        return Judgement.FAILED\n",
        "test_gone_is_disabled_and_recovered",
    ),
    Mutation(
        "streams: no reset when a job begins again",
        "api/events/story.py",
        "        if told.place.delta or any(",
        "        if any(",
        "test_a_worker_dies_at_sixty_percent",
    ),
    Mutation(
        "streams: an id of another job is taken for one of this",
        "api/events/place.py",
        "    if found is None or found[1] != job_id[-8:]:\n",
        "    if found is None:\n",
        "test_a_client_that_stands_nowhere",
    ),
    Mutation(
        "streams: a slow reader is waited for",
        "api/events/response.py",
        "            async with asyncio.timeout(self._patience_s) as self._sending:\n",
        "            async with asyncio.timeout(None) as self._sending:\n",
        "test_a_client_that_stops_reading",
    ),
    Mutation(
        "streams: nobody is told that the API stops",
        "api/waiting.py",
        "            watch.leaving = True\n            watch.changed.set()\n",
        "            pass\n",
        "test_a_stopped_api_says_goodbye",
    ),
    Mutation(
        "chats: another answer follows a broken one",
        "api/direct/stream.py",
        "        if self._chunks.begun:\n            raise StreamBroken(",
        "        if self._chunks.begun:\n            return\n            raise StreamBroken(",
        "test_who_was_listening_to_a_chat",
    ),
    Mutation(
        "chats: a client that leaves is not noticed",
        "api/direct/vigil.py",
        "        self._gone = True\n",
        "        self._gone = False\n",
        "test_a_client_that_hangs_up_cancels",
    ),
    Mutation(
        "cut streams: nothing is booked",
        "workers/attempt/settle.py",
        "        return self.heard.billed(self.asking.work.body, model, self.resources.tokens)\n",
        "        return None\n",
        "test_a_stream_that_is_cut_is_no_success",
    ),
    Mutation(
        "settle: an unknown usage gives tokens back",
        "workers/attempt/settle.py",
        "    return None if usage is None else Cost(1, usage.input_tokens, usage.output_tokens)\n",
        "    return Cost(1, usage.input_tokens if usage else 0, usage.output_tokens if usage else 0)\n",
        "test_only_a_known_usage",
    ),
)


def main() -> int:
    """Run the mutations that were asked for; return 1 when one was not noticed."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    missed = 0
    for mutation in (*MUTATIONS, *PILE_MUTATIONS, *AROUND_MUTATIONS):
        if word in mutation.name:
            began = time.monotonic()
            noticed, why = is_noticed(mutation)
            missed += not noticed
            verdict = "noticed" if noticed else "NOT NOTICED"
            print(f"{verdict:12} {time.monotonic() - began:5.0f} s  {mutation.name}: {why}")  # noqa: T201
    return min(missed, 1)


def is_noticed(mutation: Mutation) -> tuple[bool, str]:
    """Tell whether the test fails on a broken copy, and with what; one that does not start is none."""
    with copied_tree() as tree:
        file = tree / mutation.path
        sound = file.read_text("utf-8")
        if sound.count(mutation.old) != 1:
            return False, f"the text to replace is not there once in {mutation.path}"
        file.write_text(sound.replace(mutation.old, mutation.new), "utf-8")
        status, output = run_test(tree, mutation.where, mutation.test)
        errors = [line[1:].strip() for line in output.splitlines() if line.startswith("E  ")]
        started = "the nursery did not start" not in output
        return status == 1 and started, errors[0][:160] if errors else output[-160:]


def run_test(tree: Path, where: str, test: str) -> tuple[int, str]:
    """Run one test on SQLite in a copy; return pytest's status (1: a test failed) and its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", where, "-p", "no:cacheprovider"]
    command += ["-k", f"{test} and not postgres"]
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
