"""`penstock batch watch`: how far a batch is, until it has ended."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from api.cli.client import FINAL, Client, Job, connect
from api.cli.errors import FAILED
from api.cli.interrupts import INTERRUPTED
from api.cli.meter import Meter, tally_of
from api.cli.show import console, plain

POLL_S = 0.5
MOST_ERRORS = 10


def run(batch_id: str, *, url: str | None, key: str | None) -> int:
    """Watch a batch; return 0 if every line of it completed, else 1.

    Raises:
        CommandError: there is no such batch, or nobody answers.
    """
    try:
        return asyncio.run(_run(connect(url, key), batch_id))
    except KeyboardInterrupt:
        print("The batch goes on.", file=sys.stderr)
        return INTERRUPTED


async def _run(client: Client, batch_id: str) -> int:
    async with client:
        return await watch(client, await client.call("GET", f"/v1/batches/{batch_id}"))


async def watch(client: Client, batch: Job) -> int:
    """Show a batch's progress until it has ended; return the exit code that tells how."""
    out = console()
    with Meter(out, "lines") as meter:
        while batch["status"] not in FINAL:
            meter.show(tally_of(batch), title=batch["status"])
            await asyncio.sleep(POLL_S)
            batch = await client.get(f"/v1/batches/{batch['id']}")
        meter.show(tally_of(batch), title=batch["status"])
    return _conclude(batch)


def _conclude(batch: Job) -> int:
    tally, cost = tally_of(batch), batch["cost_usd"]
    said = [f"{tally.done:,} of {tally.total:,} lines completed", f"{tally.failed:,} did not"]
    if invalid := batch["counts"]["invalid"]:
        said.append(f"{invalid:,} were wrong and never asked")
    if cost is not None:
        said.append(f"${cost}")
    _tell_errors((batch["errors"] or {}).get("data") or [], invalid)
    _say(f"{batch['id']} is {batch['status']}: {', '.join(said)}")
    return 0 if batch["status"] == "completed" and not tally.failed else FAILED


def _tell_errors(errors: Sequence[Mapping[str, Any]], invalid: int) -> None:
    for error in errors[:MOST_ERRORS]:
        where = "" if error["line"] is None else f"line {error['line']}: "
        _say(plain(f"{where}{error['message']}"))
    # The batch itself names only the first thousand.
    if (more := max(invalid, len(errors)) - MOST_ERRORS) > 0:
        _say(f"… and {more:,} more")


def _say(text: str) -> None:
    console().print(text, markup=False, soft_wrap=True)
