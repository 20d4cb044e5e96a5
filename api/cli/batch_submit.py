"""`penstock batch submit`: a file of requests becomes a batch."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from api.cli.batch_watch import watch as watch_batch
from api.cli.client import Client, Job, RefusedError, connect
from api.cli.errors import MISUSED, CommandError
from api.cli.interrupts import INTERRUPTED
from shared.ids import new_id


def run(
    file: Path,
    asked: Mapping[str, Any],
    *,
    dry_run: bool,
    watch: bool,
    url: str | None,
    key: str | None,
) -> int:
    """Upload a file and make a batch of it; return the exit code.

    Raises:
        CommandError: it cannot be read, or is refused.
    """
    if not file.is_file():
        raise CommandError(f"{file} is no file.", exit_code=MISUSED)
    wanted = {name: value for name, value in asked.items() if value is not None}
    try:
        return asyncio.run(_run(connect(url, key), file, wanted, dry_run=dry_run, watch=watch))
    except KeyboardInterrupt:
        return INTERRUPTED


def pairs(given: Sequence[str]) -> dict[str, str] | None:
    """Read `key=value` pairs.

    Raises:
        CommandError: there is no `=` in one.
    """
    if wrong := [each for each in given if "=" not in each]:
        raise CommandError(f"{wrong[0]} is no key=value.", exit_code=MISUSED)
    return dict(each.split("=", 1) for each in given) or None


async def _run(
    client: Client, file: Path, asked: Mapping[str, Any], *, dry_run: bool, watch: bool
) -> int:
    async with client:
        await client.call("GET", "/healthz")
        file_id = await _upload(client, file)
        body = {**asked, "input_file_id": file_id}
        if dry_run:
            try:
                estimate = await client.call("POST", "/v1/batches", json={**body, "dry_run": True})
            finally:
                await client.call("DELETE", f"/v1/files/{file_id}")
            print(json.dumps(estimate, indent=2))
            return 0
        batch = await _create(client, body)
        print(batch["id"], flush=True)
        if not watch:
            print(f"To see how far it is: penstock batch watch {batch['id']}", file=sys.stderr)
            return 0
        return await watch_batch(client, batch)


async def _create(client: Client, body: Mapping[str, Any]) -> Job:
    try:
        return await client.post("/v1/batches", body, idempotency_key=new_id("submit"))
    except RefusedError as error:
        if error.exit_code == MISUSED:
            # Nothing was done, so nothing is left: the corrected command uploads its own.
            with suppress(CommandError):
                await client.call("DELETE", f"/v1/files/{body['input_file_id']}")
        raise


async def _upload(client: Client, file: Path) -> str:
    try:
        return await client.upload(file, name=file.name, purpose="batch")
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise CommandError(message, exit_code=MISUSED) from error
