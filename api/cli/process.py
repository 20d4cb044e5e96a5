"""`penstock process`: many files, one task, one results file, by a service that is running."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from api.cli.client import Client, connect
from api.cli.documents import Outcome, Task, process, read_schema, read_text, results_file
from api.cli.errors import FAILED, MISUSED, CommandError
from api.cli.show import console, plain, progress


def run(
    *,
    files: Sequence[Path],
    instructions: str,
    schema: Path,
    model: str,
    out: Path,
    at_once: int,
    url: str | None,
    key: str | None,
) -> int:
    """Process the files; return 0 if each of them has its answer.

    Raises:
        CommandError: nothing can be done at all; the line says why.
    """
    for file in files:
        if not file.is_file():
            raise CommandError(f"{file} is no file.", exit_code=MISUSED)
    task = Task(_text(instructions), read_schema(schema), model)
    return asyncio.run(_run(connect(url, key), files, task, out, at_once))


async def _run(
    client: Client, files: Sequence[Path], task: Task, results: Path, at_once: int
) -> int:
    out = console()
    failed: list[Outcome] = []
    async with client:
        await client.call("GET", "/healthz")
        with results_file(results) as write, progress(out, "documents", len(files)) as advance:

            def on_done(outcome: Outcome) -> None:
                write(outcome)
                advance()
                if not outcome.ok:
                    failed.append(outcome)

            await process(client, files, task, at_once=at_once, on_done=on_done)
    for outcome in failed:
        message = (outcome.error or {}).get("message") or outcome.status
        out.print(plain(f"{outcome.file}: {message}"), markup=False, soft_wrap=True)
    out.print(
        f"{len(files) - len(failed)} of {len(files)} documents were read; results in {results}"
    )
    return FAILED if failed else 0


def _text(given: str) -> str:
    """Return the instructions themselves, or what stands in the file of that name."""
    try:
        is_file = Path(given).is_file()
    except (OSError, ValueError):
        # Too long for a path, or with characters that none has: these are the instructions.
        is_file = False
    return read_text(Path(given)) if is_file else given
