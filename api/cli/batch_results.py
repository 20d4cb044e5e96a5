"""`penstock batch results`: the lines of a batch that have ended, also while it goes on."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import orjson

from api.cli.client import FINAL, Client, connect
from api.cli.errors import MISUSED, CommandError
from api.cli.interrupts import INTERRUPTED

PAGE = 500
POLL_S = 0.5


def run(
    batch_id: str,
    out: Path | None,
    *,
    after: int,
    follow: bool,
    url: str | None,
    key: str | None,
) -> int:
    """Write the lines behind a cursor; return the exit code.

    Raises:
        CommandError: there is no such batch, or the file cannot be written.
    """
    try:
        with nullcontext(sys.stdout.buffer) if out is None else out.open("wb") as file:
            asyncio.run(_run(connect(url, key), batch_id, file, after, follow=follow))
    except OSError as error:
        raise CommandError(
            f"{out} cannot be written: {error.strerror}.", exit_code=MISUSED
        ) from error
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


async def _run(client: Client, batch_id: str, file: IO[bytes], after: int, *, follow: bool) -> None:
    path = f"/v1/batches/{batch_id}"
    async with client:
        while True:
            # Asked before the lines: once it has ended, they are all there.
            batch = await client.call("GET", path)
            while lines := await client.lines(f"{path}/results", after=after, limit=PAGE):
                file.writelines(line + b"\n" for line in lines)
                after = orjson.loads(lines[-1])["number"]
            file.flush()
            if not follow or batch["status"] in FINAL:
                return
            await asyncio.sleep(POLL_S)
