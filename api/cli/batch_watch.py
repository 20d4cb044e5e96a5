"""`penstock batch watch`: how far a batch is, until it has ended."""

import asyncio
import sys

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
    out, tally = console(), tally_of(batch)
    for error in ((batch["errors"] or {}).get("data") or [])[:MOST_ERRORS]:
        where = "" if error["line"] is None else f"line {error['line']}: "
        out.print(plain(f"{where}{error['message']}"), markup=False, soft_wrap=True)
    cost = "" if tally.cost_usd is None else f", ${tally.cost_usd}"
    out.print(
        f"{batch['id']} is {batch['status']}: {tally.done:,} of {tally.total:,} lines completed,"
        f" {tally.failed:,} did not{cost}",
        markup=False,
        soft_wrap=True,
    )
    return 0 if batch["status"] == "completed" and not tally.failed else FAILED
