"""What is known of each accepted job: from the database, its triggers, the provider, and who was told."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson

from tests.fakes.receiver import Received, Receiver
from tests.fakes.upstream_client import Upstream
from tests.faults.client import Accepted
from tests.faults.deployments import INPUT_NANOUSD, OUTPUT_NANOUSD
from tests.faults.sql import Row, Sql

IDS_AT_ONCE = 200
MARKER_CHARS = 200
OK = 200
NOT_NOW = frozenset({429, 503, 529})
"""Refusals that ask for patience: they use up no attempt."""


@dataclass(slots=True)
class Case:
    """One accepted job with all that was found about it."""

    wanted: Accepted
    job: Row | None = None
    attempts: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    result_changes: list[Row] = field(default_factory=list)
    cost_changes: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    rewritten: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    tries: list[Row] = field(default_factory=list)
    posts: list[Received] = field(default_factory=list)

    @property
    def spent_calls(self) -> list[Row]:
        """The provider's calls that it did not turn away."""
        return [call for call in self.calls if call.get("status") not in NOT_NOW]

    @property
    def billed(self) -> list[int]:
        """What the provider charges: the cost of each call that it answered in full."""
        whole = (call for call in self.calls if call.get("event") == "answered")
        return sorted(cost_of(call["usage"]) for call in whole if call["usage"])


def cost_of(usage: Row) -> int:
    """Return a call's price in nano-dollars, computed as the provider's price list says."""
    inputs, outputs = int(usage["prompt_tokens"]), int(usage.get("completion_tokens", 0))
    return inputs * INPUT_NANOUSD + outputs * OUTPUT_NANOUSD


def collect(
    sql: Sql, upstream: Upstream, receivers: Sequence[Receiver], accepted: Sequence[Accepted]
) -> list[Case]:
    """Gather the evidence on these jobs."""
    cases = {each.id: Case(each) for each in accepted}
    for row in _of(sql, "job", "id", cases):
        cases[row["id"]].job = row
    tables = {
        "attempt": "attempts",
        "job_result": "results",
        "witness_job": "history",
        "witness_result": "result_changes",
        "witness_cost": "cost_changes",
        "witness_telling": "rewritten",
        "event": "events",
        "webhook_delivery": "deliveries",
    }
    for table, name in tables.items():
        for row in _of(sql, table, "job_id", cases):
            getattr(cases[row["job_id"]], name).append(row)
    calls: dict[str, list[Row]] = defaultdict(list)
    for call in upstream.calls():
        calls[call["marker"]].append(call)
    for post in [post for receiver in receivers for post in list(receiver.received)]:
        if (job_id := job_of(post)) in cases:
            cases[job_id].posts.append(post)
    _add_tries(sql, cases.values())
    for case in cases.values():
        case.events.sort(key=lambda row: int(row["number"]))
        case.history.sort(key=lambda row: row["seq"])
        case.attempts.sort(key=lambda row: (row["claim_number"], row["call"]))
        case.calls = calls[case.wanted.text[:MARKER_CHARS]]
    return list(cases.values())


def job_of(post: Received) -> str:
    """Return which job a receiver was told of, by what it was told."""
    return str(orjson.loads(post.body)["data"]["id"])


def _add_tries(sql: Sql, cases: Iterable[Case]) -> None:
    by_delivery = {row["id"]: case for case in cases for row in case.deliveries}
    for row in _of(sql, "webhook_try", "delivery_id", by_delivery):
        by_delivery[row["delivery_id"]].tries.append(row)
    for case in by_delivery.values():
        case.tries.sort(key=lambda row: int(row["number"]))


def _of(sql: Sql, table: str, column: str, ids: Iterable[str]) -> list[Row]:
    every = list(ids)
    rows = []
    for start in range(0, len(every), IDS_AT_ONCE):
        some = every[start : start + IDS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        rows += sql.rows(f"SELECT * FROM {table} WHERE {column} IN ({marks})", *some)
    return rows
