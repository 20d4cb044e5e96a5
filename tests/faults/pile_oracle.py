"""The judge of batches: compares a whole pile with database, ledger and files, by sets rather than one by one.

It shares no code with the engine. The invariants are numbered as in `docs/reliability.md`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults import limits
from tests.faults.evidence import MARKER_CHARS
from tests.faults.oracle import memory
from tests.faults.piles import Pile
from tests.faults.service import Service
from tests.faults.sql import Row
from tests.faults.witness import FINAL

SHOWN = 20
CLOCK_STEP_MS = 5
EXCUSES = frozenset({"unknown", "interrupted", "error"})
"""What an attempt must have become for the line to be called once more."""


def check(service: Service, pile: Pile) -> dict[str, Any]:
    """Check a batch that has ended; return it as the API shows it.

    Raises:
        AssertionError: lists what does not hold.
    """
    pile.read_on()
    shown = pile.shown()
    jobs = service.sql.rows("SELECT * FROM job WHERE batch_id = ?", pile.id)
    found = [
        *_every_line_once(pile, shown, jobs),
        *_one_end(service, pile),
        *_files_are_counts(pile, shown),
        *_read_once(pile, jobs),
        *_called_for_a_reason(service, pile, jobs),
        *_costs(service, pile, shown, jobs),
        *limits.violations(service.upstream),
        *memory(service),
    ]
    assert not found, "\n".join([f"{len(found)} violations", *found[:SHOWN]])
    return shown


def _every_line_once(pile: Pile, shown: dict[str, Any], jobs: Sequence[Row]) -> Iterator[str]:
    """I1, I3: a job for each line and no other, each ended, and counted as what it ended as."""
    ids = Counter(row["custom_id"] for row in jobs)
    if ids != Counter(dict.fromkeys(pile.lines, 1)):
        yield f"I1 {len(jobs)} jobs for {len(pile.lines)} lines; {ids.most_common(2)}"
    states = Counter(row["state"] for row in jobs)
    if unended := set(states) - set(FINAL):
        yield f"I1 not ended: {unended} {states}"
    counts = {name: shown["counts"][name] for name in FINAL}
    if counts != {name: states[name] for name in FINAL}:
        yield f"I3 counted {counts}, in the database {states}"
    numbers = sorted(row["outcome_number"] or 0 for row in jobs)
    if len(set(numbers)) != len(jobs) or 0 in numbers:
        yield "I3 outcome numbers are missing or were given twice"


def _one_end(service: Service, pile: Pile) -> Iterator[str]:
    """I1, I2: each generation of each line ended once."""
    marks = ", ".join(f"'{state}'" for state in FINAL)
    rows = service.sql.rows(
        "SELECT w.job_id, w.generation, count(*) AS ends FROM witness_job w"
        " JOIN job j ON j.id = w.job_id WHERE j.batch_id = ?"
        f" AND w.state IN ({marks}) AND (w.was IS NULL OR w.was NOT IN ({marks}))"
        " GROUP BY w.job_id, w.generation HAVING count(*) > 1",
        pile.id,
    )
    if rows:
        yield f"I2 {len(rows)} lines ended more than once, as {rows[0]}"
    doubled = service.sql.rows(
        "SELECT r.job_id FROM witness_result r JOIN job j ON j.id = r.job_id"
        " WHERE j.batch_id = ? GROUP BY r.job_id, r.generation HAVING count(*) > 1",
        pile.id,
    )
    if doubled:
        yield f"I3 {len(doubled)} results were written more than once"


def _files_are_counts(pile: Pile, shown: dict[str, Any]) -> Iterator[str]:
    """I3: what can be downloaded is what is counted, each line in one of the files."""
    files = pile.files()
    good, bad = files["output_file_id"], files["error_file_id"]
    counts = shown["request_counts"]
    if (len(good), len(bad)) != (counts["completed"], counts["failed"]):
        yield f"I3 files of {len(good)} and {len(bad)} lines, counts {counts}"
    ids = Counter(each["custom_id"] for each in (*good, *bad))
    if ids != Counter(dict.fromkeys(pile.lines, 1)):
        yield f"I3 lines missing or doubled in the files: {ids.most_common(2)}"
    for each in good:
        said = each["response"]["body"]["choices"][0]["message"]["content"]
        if pile.lines[each["custom_id"]] not in said:
            yield f"I3 {each['custom_id']} has another line's answer: {said[:80]}"


def _read_once(pile: Pile, jobs: Sequence[Row]) -> Iterator[str]:
    """I3: who read on from cursor to cursor has every line, none twice, in the order of numbers."""
    if not pile.read:
        return
    numbers = [each["number"] for each in pile.read]
    if numbers != sorted(set(numbers)):
        yield "I3 the stream of results went back or repeated itself"
    retried = any(row["generation"] > 1 for row in jobs)
    ids = {each["custom_id"] for each in pile.read}
    if ids != set(pile.lines) or (len(numbers) != len(jobs) and not retried):
        yield f"I3 the reader has {len(numbers)} lines of {len(jobs)}"


def _called_for_a_reason(service: Service, pile: Pile, jobs: Sequence[Row]) -> Iterator[str]:
    """I4: an attempt row before each call, and never a second call without a recorded reason.

    Lines that ask the same may share one answer: they are judged together.
    """
    by_job = _by_job(service, pile)
    attempts: dict[str, list[Row]] = defaultdict(list)
    for row in jobs:
        attempts[pile.lines[row["custom_id"]]] += by_job[row["id"]]
    calls: dict[str, list[Row]] = defaultdict(list)
    for call in service.upstream.calls():
        calls[call["marker"]].append(call)
    for text, mine in attempts.items():
        for violation in _reasons(calls[text[:MARKER_CHARS]], mine):
            yield f"{violation} of {text}"


def _reasons(calls: Sequence[Row], attempts: Sequence[Row]) -> Iterator[str]:
    if len(calls) > len(attempts):
        yield f"I4 {len(calls)} calls, {len(attempts)} attempt rows"
    excused = sum(each["status"] in EXCUSES for each in attempts)
    if len(calls) > 1 + excused:
        yield f"I4 {len(calls)} calls, {excused} reasons for another"
    starts = sorted(each["started_at"] for each in attempts)
    for call, start in zip(sorted(each["at"] for each in calls), starts, strict=False):
        if start > call + CLOCK_STEP_MS:
            yield f"I4 a call at {call}, first written at {start}"
    if left := [each for each in attempts if each["status"] == "started"]:
        yield f"I5 {len(left)} calls without an outcome"


def _costs(
    service: Service, pile: Pile, shown: dict[str, Any], jobs: Sequence[Row]
) -> Iterator[str]:
    """I5: the batch costs what its lines cost, they what their attempts did, and nothing twice."""
    by_job: Counter[str] = Counter()
    for job_id, mine in _by_job(service, pile).items():
        by_job[job_id] = sum(each["cost_nanousd"] or 0 for each in mine if not each["late"])
    wrong = [row["id"] for row in jobs if (row["cost_nanousd"] or 0) != by_job[row["id"]]]
    if wrong:
        yield f"I5 {len(wrong)} lines do not cost what their attempts did, as {wrong[0]}"
    said = round(float(shown["cost_usd"] or 0) * 1e9)
    if said != sum(row["cost_nanousd"] or 0 for row in jobs):
        yield f"I5 the batch costs {said}, its lines {sum(r['cost_nanousd'] or 0 for r in jobs)}"


def _by_job(service: Service, pile: Pile) -> dict[str, list[Row]]:
    rows = service.sql.rows(
        "SELECT a.* FROM attempt a JOIN job j ON j.id = a.job_id WHERE j.batch_id = ?", pile.id
    )
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["job_id"]].append(row)
    return found
