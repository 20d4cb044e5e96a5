"""`penstock process`: many documents, one task, one results file, by a service that is running."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import orjson
from rich.console import Console

from api.cli.client import Client, connect
from api.cli.discovery import Document, Found, discover
from api.cli.documents import Task, read_schema
from api.cli.errors import FAILED, CommandError
from api.cli.folder import Run
from api.cli.interrupts import INTERRUPTED, until_interrupted
from api.cli.meter import Meter
from api.cli.results import COMPLETED, Results, open_results
from api.cli.run_log import RunLog
from api.cli.show import console, plain
from api.cli.spreadsheet import write_csv
from api.cli.task_files import log_path, read_instructions, refuse_foreign, refuse_shared

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Order:
    """What a command asks for, and where its results go."""

    named: Sequence[Path]
    instructions: str
    schema: Path
    model: str
    out: Path
    table: Path | None
    batch_size: int
    retry_failed: bool


@dataclass(slots=True)
class _Known:
    """The batches of a run, for the one who ends it early."""

    batches: list[str] = field(default_factory=list)


def run(order: Order, *, url: str | None, key: str | None) -> int:
    """Process the documents; return 0 if each of them has its answer, 1 if some have not.

    Raises:
        CommandError: nothing can be done at all; the line says why.
    """
    text, file = read_instructions(order.instructions)
    read = [order.schema, *([file] if file else ())]
    refuse_shared(order.out, order.table, read)
    refuse_foreign(order.out)
    written = [order.out, log_path(order.out), *([order.table] if order.table else ())]
    found = discover(order.named, beside=[*read, *written])
    task = Task(text, read_schema(order.schema), order.model)
    known = _Known()
    try:
        return asyncio.run(until_interrupted(_run(connect(url, key), order, task, found, known)))
    except KeyboardInterrupt:
        _say_how_to_go_on(known.batches)
        return INTERRUPTED


async def _run(client: Client, order: Order, task: Task, found: Found, known: _Known) -> int:
    out = console()
    _tell_skipped(out, found.skipped)
    async with client:
        await client.call("GET", "/healthz")
        with (
            RunLog.open(log_path(order.out), task=_digest(task)) as log,
            open_results(order.out, size=log.at) as results,
        ):
            before = _asked(log)
            try:
                with Meter(out, "documents") as meter:
                    await Run(client, log, results, task, meter).work(
                        found.documents,
                        batch_size=order.batch_size,
                        retry_failed=order.retry_failed,
                    )
            except CommandError as error:
                if _asked(log) != before:
                    error.exit_code = FAILED
                raise
            finally:
                known.batches = [each.id for each in log.batches.values() if each.id]
            if order.table:
                await asyncio.to_thread(write_csv, order.out, order.table, task.schema)
            return _conclude(out, results, order, found.documents)


def _asked(log: RunLog) -> list[tuple[str, int]]:
    """Return the batches that were made, and how far each was read."""
    return [(each.id, each.after) for each in log.batches.values() if each.id]


def _conclude(out: Console, results: Results, order: Order, documents: Sequence[Document]) -> int:
    done, failed = 0, 0
    for line in results:
        done += line["status"] == COMPLETED
        failed += line["status"] != COMPLETED
        if line["status"] != COMPLETED and failed <= MOST_NAMED:
            message = (line["error"] or {}).get("message") or line["status"]
            out.print(plain(f"{line['file']}: {message}"), markup=False, soft_wrap=True)
    if failed > MOST_NAMED:
        out.print(f"… and {failed - MOST_NAMED:,} more")
    where = f"{order.out} and {order.table}" if order.table else f"{order.out}"
    out.print(
        f"{done:,} of {done + failed:,} documents were read; results in {where}",
        markup=False,
        soft_wrap=True,
    )
    if failed:
        out.print("To try the others again: the same command with --retry-failed")
    return FAILED if failed or done < len(documents) else 0


def _tell_skipped(out: Console, skipped: Sequence[str]) -> None:
    if skipped:
        shown = ", ".join(skipped[:MOST_NAMED]) + (", …" if len(skipped) > MOST_NAMED else "")
        text = plain(f"passed over {len(skipped):,}: {shown}")
        out.print(text, markup=False, soft_wrap=True)


def _say_how_to_go_on(batches: Sequence[str]) -> None:
    print("Interrupted. The same command goes on where this one stopped.", file=sys.stderr)
    if batches:
        print("Meanwhile the service works on. To stop it:", file=sys.stderr)
    for batch in batches:
        print(f"  penstock batch cancel {batch}", file=sys.stderr)


def _digest(task: Task) -> str:
    return sha256(orjson.dumps(task.asked(), option=orjson.OPT_SORT_KEYS)).hexdigest()
