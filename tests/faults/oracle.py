"""The judge: compares what clients were promised with database, ledger and API after each scenario.

It shares no code with the engine. The invariants are numbered as in `docs/reliability.md`.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import orjson

from tests.faults import limits, telling
from tests.faults.client import Accepted
from tests.faults.evidence import OK, Case, collect
from tests.faults.polling import until
from tests.faults.processes import peak_memory_mb
from tests.faults.service import Service
from tests.faults.witness import FINAL

CLOCK_STEP_MS = 5
"""Two clocks of one machine, each cut to milliseconds."""
MOST_MEMORY_MB = 400
STRANGER_LOOKS_AT = 3
STRANGERS_TRY = (
    ("GET", ""),
    ("GET", "/result"),
    ("GET", "/events"),
    ("POST", "/events/token"),
    ("POST", "/cancel"),
    ("DELETE", ""),
)
NOT_FOUND = 404
REST_SEEN_S = 8


def settle(service: Service, *, within_s: float = 60) -> list[Case]:
    """Wait until every accepted job has ended, then check all invariants.

    Raises:
        AssertionError: one job has not ended, or an invariant does not hold; lists all that do not.
    """
    await_ends(service, service.client.accepted, within_s=within_s)
    await_telling(service)
    return check(service)


def await_ends(service: Service, jobs: Sequence[Accepted], *, within_s: float = 60) -> None:
    """Wait until these jobs have ended."""
    until(lambda: not _open(service, jobs), "every job has ended", within_s=within_s, every_s=0.05)


def await_telling(service: Service, *, within_s: float = 30) -> None:
    """Wait until whoever listens has been told of every event, or will not be."""
    followers = [each.follower for each in service.client.accepted if each.follower]
    until(lambda: all(each.over.is_set() for each in followers), "the end was told to followers")
    with suppress(AssertionError):
        _await_deliveries(service, within_s=REST_SEEN_S)
        return
    # Who did not answer in time rests for a minute, also if it was we who were frozen.
    service.let_time_pass()
    _await_deliveries(service, within_s=within_s)


def _await_deliveries(service: Service, *, within_s: float) -> None:
    what = "nothing waits to be delivered"
    until(lambda: not _pending(service), what, within_s=within_s, every_s=0.05)


def check(service: Service) -> list[Case]:
    """Check all invariants on what is there now; return the evidence."""
    accepted = service.client.accepted
    receivers = [service.receiver, *service.others]
    cases = collect(service.sql, service.upstream, receivers, accepted)
    found = [
        f"{case.wanted.id}: {violation}"
        for case in cases
        for rule in RULES
        for violation in rule(case)
    ]
    found += [each for case in cases for each in call_bound(case, service.disruptions)]
    found += [
        f"{case.wanted.id}: {violation}"
        for case in cases
        if case.wanted.follower
        for violation in telling.followed(case, case.wanted.follower)
    ]
    found += signatures(service)
    found += limits.violations(service.upstream)
    found += strangers(service, cases)
    found += memory(service)
    assert not found, "\n".join([f"{len(found)} violations", *found[:20]])
    return cases


def one_end(case: Case) -> Iterator[str]:
    """I1, I2: exactly one final state in each generation, and nothing after it."""
    if case.job is None:
        yield "I1 accepted, and not in the database"
        return
    state = case.job["state"]
    if state not in case.wanted.ends:
        yield f"I1 ended as {state} ({case.job['reason']}, {case.job['error']}), not as wanted"
    ends = Counter(row["generation"] for row in case.history if row["state"] in FINAL)
    for generation in range(1, case.job["generation"] + 1):
        if ends[generation] != 1:
            yield f"I1 generation {generation} ended {ends[generation]} times"
    for before, row in pairwise(case.history):
        if row["was"] in FINAL and row["generation"] == before["generation"]:
            yield f"I2 {row['was']} became {row['state']} (version {row['version']})"


def one_result(case: Case) -> Iterator[str]:
    """I3: one result a generation, of this job, written once."""
    writes = Counter(row["generation"] for row in case.result_changes)
    if (
        any(row["what"] != "insert" for row in case.result_changes)
        or max(writes.values(), default=0) > 1
    ):
        yield f"I3 the result was written more than once: {case.result_changes}"
    if case.job is None or case.job["state"] != "completed":
        return
    mine = [row for row in case.results if row["generation"] == case.job["generation"]]
    if len(mine) != 1:
        yield f"I3 completed with {len(mine)} results"
    elif mine[0]["body"] is not None:
        said = orjson.loads(mine[0]["body"])["choices"][0]["message"]["content"]
        if case.wanted.text not in said:
            yield f"I3 another job's answer: {said[:80]}"


def calls_are_on_record(case: Case) -> Iterator[str]:
    """I4: each call that the provider saw has an attempt row of its own, written before it came."""
    free = sorted((row["started_at"] for row in case.attempts), reverse=True)
    for call in sorted(case.calls, key=lambda row: int(row["at"]), reverse=True):
        before = next((at for at in free if at <= call["at"] + CLOCK_STEP_MS), None)
        if before is None:
            yield f"I4 {call['call']} came at {call['at']} and no attempt row was there before"
            return
        free.remove(before)


def call_bound(case: Case, disruptions: int) -> Iterator[str]:
    """I4: calls at most as often as allowed, and once more for each time that we killed a worker."""
    most = case.wanted.max_attempts + disruptions
    if len(case.spent_calls) > most:
        yield f"{case.wanted.id}: I4 {len(case.spent_calls)} calls, at most {most} are allowed"


def charged_once(case: Case) -> Iterator[str]:
    """I5: known costs are the provider's, the rest is flagged, and nothing is counted twice."""
    if case.job is None:
        return
    costs = [row for row in case.attempts if row["cost_nanousd"] is not None]
    # A cost that is flagged is an estimate: what was heard of a stream that was cut.
    known = [row for row in costs if not row["possibly_billed"]]
    flagged = [row for row in case.attempts if row["possibly_billed"]]
    billed = Counter(case.billed)
    ours = Counter(row["cost_nanousd"] for row in known)
    if ours - billed:
        yield f"I5 we charge {ours}, the provider {billed}"
    if (billed - ours).total() > len(flagged):
        yield f"I5 the provider charges {billed}, we know of {ours} and flag {len(flagged)}"
    total = sum(row["cost_nanousd"] for row in costs if not row["late"])
    if (case.job["cost_nanousd"] or 0) != total:
        yield f"I5 the job says {case.job['cost_nanousd']}, its attempts {total}"
    if case.cost_changes:
        yield f"I5 a cost was written twice: {case.cost_changes}"
    if left := [row for row in case.attempts if row["status"] == "started"]:
        yield f"I5 {len(left)} calls of an ended job have no outcome"


def waiting_is_free(case: Case) -> Iterator[str]:
    """I10: only failed calls use up attempts."""
    if case.job is None or case.wanted.failures is None:
        return
    if case.job["failures"] != case.wanted.failures:
        yield f"I10 {case.job['failures']} attempts used up, not {case.wanted.failures}"


def signatures(service: Service) -> Iterator[str]:
    """I7: what came for single jobs is signed with the tenant's secret."""
    if mine := list(service.receiver.received):
        secret = service.client.call("GET", "/v1/webhook_secret").body["signing_secret"]
        yield from telling.signed(mine, secret)


def strangers(service: Service, cases: Sequence[Case]) -> Iterator[str]:
    """I11: another tenant's key finds none of it, in no way that the API offers."""
    ask, key = service.client.call, service.stranger_key
    ids = [case.wanted.id for case in cases[:STRANGER_LOOKS_AT]]
    for job_id in ids:
        for method, path in STRANGERS_TRY:
            reply = ask(method, f"/v1/jobs/{job_id}{path}", key=key)
            if reply.status != NOT_FOUND:
                yield f"I11 {method} {path} of {job_id} by a stranger: {reply}"
    if ids:
        looked_up = ask("POST", "/v1/jobs/lookup", {"ids": ids}, key=key).body
        listed = ask("GET", "/v1/jobs", key=key).body
        if seen := looked_up["data"] or listed["data"]:
            yield f"I11 a stranger sees {seen}"
        yield from strangers_of_deliveries(service, cases[0])


def strangers_of_deliveries(service: Service, case: Case) -> Iterator[str]:
    """I11: nor what was told of it, and to whom."""
    ask, key, path = service.client.call, service.stranger_key, "/v1/webhook_deliveries"
    if seen := ask("GET", f"{path}?job_id={case.wanted.id}", key=key).body["data"]:
        yield f"I11 a stranger sees {seen}"
    for row in case.deliveries[:1]:
        for method, action in (("GET", ""), ("POST", "/resend")):
            reply = ask(method, f"{path}/{row['id']}{action}", key=key)
            if reply.status != NOT_FOUND:
                yield f"I11 {method} {row['id']}{action} by a stranger: {reply}"


def memory(service: Service) -> Iterator[str]:
    """I12: no process has grown beyond what its concurrency explains."""
    for process in service.processes:
        for pid in process.members() if process.running else ():
            if (peak := peak_memory_mb(pid)) > MOST_MEMORY_MB:
                yield f"I12 {process.log.stem} took {peak} MB"


def shown_as_stored(service: Service, cases: Sequence[Case]) -> None:
    """Check that the API tells of these jobs what the database holds."""
    for case in cases:
        assert case.job
        shown = service.client.get(case.wanted.id)
        assert shown["status"] == case.job["state"]
        mine = [row for row in case.attempts if row["generation"] == case.job["generation"]]
        assert [each["status"] for each in shown["attempts"]] == [row["status"] for row in mine]
        if case.job["state"] == "completed":
            assert shown["result"]["status_code"] == OK


def _pending(service: Service) -> list[str]:
    ids = [each.id for each in service.client.accepted]
    found: list[str] = []
    for start in range(0, len(ids), 200):
        some = ids[start : start + 200]
        marks = ", ".join("?" * len(some))
        statement = (
            f"SELECT id FROM webhook_delivery WHERE state = 'pending' AND job_id IN ({marks})"
        )
        found += [row["id"] for row in service.sql.rows(statement, *some)]
    return found


def _open(service: Service, jobs: Sequence[Accepted]) -> list[str]:
    return [job_id for job_id, state in states(service, jobs).items() if state not in FINAL]


def states(service: Service, jobs: Sequence[Accepted]) -> dict[str, str]:
    """Return the state of each job that is in the database."""
    every = [each.id for each in jobs]
    found: dict[str, str] = {}
    for start in range(0, len(every), 200):
        some = every[start : start + 200]
        marks = ", ".join("?" * len(some))
        for row in service.sql.rows(f"SELECT id, state FROM job WHERE id IN ({marks})", *some):
            found[row["id"]] = row["state"]
    return found


RULES: tuple[Callable[[Case], Iterator[str]], ...] = (
    one_end,
    one_result,
    calls_are_on_record,
    charged_once,
    waiting_is_free,
    telling.numbered,
    telling.delivered,
    telling.received,
)
