"""Triggers in the database that write down every change of a job as it happens: nothing is missed.

They are the test's, not Penstock's: the migrations know nothing of them.
"""

from tests.faults.sql import Row, Sql

FINAL = ("completed", "failed", "cancelled", "expired")
_FINAL = ", ".join(f"'{state}'" for state in FINAL)
_SEEN = "job_id, generation, version, state, claim_number, failures, was"
_SEEN_COLUMNS = (
    "job_id TEXT, generation INTEGER, version INTEGER, state TEXT, claim_number INTEGER,"
    " failures INTEGER, was TEXT"
)
_COST = "job_id, claim_number, was, now"
_COSTS = "NEW.job_id, NEW.claim_number, OLD.cost_nanousd, NEW.cost_nanousd"
_JOB = "NEW.id, NEW.generation, NEW.version, NEW.state, NEW.claim_number, NEW.failures"
_CHANGED = (
    "OLD.version <> NEW.version OR OLD.state <> NEW.state OR OLD.generation <> NEW.generation"
    f" OR OLD.state IN ({_FINAL})"
)

TABLES = (
    f"CREATE TABLE witness_job ({{serial}}, at BIGINT, {_SEEN_COLUMNS})",
    "CREATE TABLE witness_result ({serial}, job_id TEXT, generation INTEGER, what TEXT)",
    "CREATE TABLE witness_cost ({serial}, job_id TEXT, claim_number INTEGER, was BIGINT, now BIGINT)",
    "CREATE TABLE witness_telling ({serial}, job_id TEXT, what TEXT)",
)
# name, event, table, condition, what is written down
WATCHES = (
    ("new_job", "INSERT", "job", "", f"witness_job (at, {_SEEN}) VALUES ({{now}}, {_JOB}, NULL)"),
    (
        "job",
        "UPDATE",
        "job",
        f"WHEN ({_CHANGED})",
        f"witness_job (at, {_SEEN}) VALUES ({{now}}, {_JOB}, OLD.state)",
    ),
    (
        "new_result",
        "INSERT",
        "job_result",
        "",
        "witness_result (job_id, generation, what) VALUES (NEW.job_id, NEW.generation, 'insert')",
    ),
    (
        "result",
        "UPDATE",
        "job_result",
        "",
        "witness_result (job_id, generation, what) VALUES (NEW.job_id, NEW.generation, 'update')",
    ),
    (
        "cost",
        "UPDATE",
        "attempt",
        "WHEN (OLD.cost_nanousd IS NOT NULL)",
        f"witness_cost ({_COST}) VALUES ({_COSTS})",
    ),
    (
        "event",
        "UPDATE",
        "event",
        "",
        "witness_telling (job_id, what) VALUES (NEW.job_id, 'an event was rewritten')",
    ),
    (
        "delivery",
        "UPDATE",
        "webhook_delivery",
        "WHEN (OLD.body <> NEW.body OR OLD.event_id <> NEW.event_id)",
        "witness_telling (job_id, what) VALUES (NEW.job_id, 'what is sent was rewritten')",
    ),
    (
        "tries",
        "UPDATE",
        "webhook_delivery",
        "WHEN (NEW.tries NOT IN (OLD.tries, OLD.tries + 1))",
        "witness_telling (job_id, what) VALUES (NEW.job_id, 'tries were not counted one by one')",
    ),
)


def install(sql: Sql) -> None:
    """Create the tables and triggers."""
    sqlite = sql.kind == "sqlite"
    serial = "seq INTEGER PRIMARY KEY" if sqlite else "seq BIGSERIAL PRIMARY KEY"
    now = (
        "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
        if sqlite
        else "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    )
    for table in TABLES:
        sql.run(table.format(serial=serial))
    for name, event, table, condition, seen in WATCHES:
        insert = f"INSERT INTO {seen.format(now=now)};"
        head = f"CREATE TRIGGER witness_{name} AFTER {event} ON {table} FOR EACH ROW {condition}"
        if sqlite:
            sql.run(f"{head} BEGIN {insert} END")
        else:
            function = f"witness_{name}_seen()"
            sql.run(
                f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {insert} RETURN NULL; END $$"
            )
            sql.run(f"{head} EXECUTE FUNCTION {function}")


def history(sql: Sql, job_id: str) -> list[Row]:
    """Return what a job went through, oldest first: one row for its insert, one for each change."""
    return sql.rows("SELECT * FROM witness_job WHERE job_id = ? ORDER BY seq", job_id)
