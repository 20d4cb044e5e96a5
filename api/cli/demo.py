"""`penstock demo`: the service started for once, and used as any client uses it, on real documents."""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from rich.console import Console

from api.cli.client import Client, RefusedError
from api.cli.configuration import load_settings, read_admin_key
from api.cli.documents import Outcome, Task, process, read_schema, read_text, results_file
from api.cli.errors import FAILED, MISUSED, CommandError
from api.cli.homecoming import await_webhooks, stream_one
from api.cli.interrupts import INTERRUPTED, Interrupts
from api.cli.receiver import receiving
from api.cli.service import Plan, running
from api.cli.show import console, main_fields, progress, results_table
from shared.settings import Settings

SAMPLES = Path(__file__).parents[2] / "docs" / "samples"
INSTRUCTIONS, SCHEMA = "instructions.txt", "schema.json"
BROKEN = "broken-"
BROKEN_REASON = "invalid_document"
FIELDS = ("document_type", "sender", "date", "total_amount")
SANDBOX, OPENAI = "sandbox/reader", "openai/gpt-4o-mini"
RESULTS = Path("results.jsonl")
AT_ONCE = 8
DRAIN_S = "3"
LAST_LINES = 20


def run(*, documents: Path | None, model: str | None, keep: bool) -> int:
    """Run the demonstration and return the exit code: 0 if every document ended as it should.

    Raises:
        CommandError: the service does not start, or there are no documents.
    """
    folder = Path(tempfile.mkdtemp(prefix="penstock-demo-"))
    try:
        return asyncio.run(_demonstrate(documents or SAMPLES, model, folder))
    finally:
        if keep:
            print(f"The data folder was kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _demonstrate(documents: Path, model: str | None, folder: Path) -> int:
    settings = load_settings(data_dir=folder, database_url="", host="127.0.0.1", port=_free_port())
    files = find_documents(documents)
    schema = read_schema(_beside(documents, SCHEMA))
    instructions = read_text(_beside(documents, INSTRUCTIONS))
    task = Task(instructions, schema, model or default_model(settings))
    out = console()
    interrupts = Interrupts(out.print)
    try:
        outcomes, came_home = await _serve_and_process(settings, files, task, out, interrupts)
    except asyncio.CancelledError:
        if not interrupts.count:
            raise
        out.print("Everything is stopped.")
        return INTERRUPTED
    tell(out, outcomes, task)
    return 0 if came_home and all(map(is_right, outcomes)) else FAILED


async def _serve_and_process(
    settings: Settings,
    files: Sequence[Path],
    task: Task,
    out: Console,
    interrupts: Interrupts,
) -> tuple[list[Outcome], bool]:
    out.print("Starting Penstock: API, worker, scheduler, with a Redis of its own and SQLite …")
    log = settings.data_dir / "demo.log"
    try:
        with log.open("wb") as output:
            plan = Plan(
                settings,
                report=lambda line: _note(output, line),
                output=output,
                # Its receiver of webhooks listens on this machine, where none is reached otherwise.
                environment={"PENSTOCK_DRAIN_S": DRAIN_S, "PENSTOCK_WEBHOOK_ALLOW_PRIVATE": "true"},
            )
            async with running(plan) as service:
                interrupts.service = service
                await service.ready()
                out.print(f"Ready at {service.url}.")
                out.print(describe(task.model))
                async with Client(service.url, read_admin_key(settings) or "") as client:
                    return await _process(client, files, task, out)
    except RefusedError:
        # The service runs and has said all there is to say.
        raise
    except CommandError as error:
        raise CommandError(f"{error}\n{_last_lines(log)}".rstrip()) from error


async def _process(
    client: Client, files: Sequence[Path], task: Task, out: Console
) -> tuple[list[Outcome], bool]:
    secret = (await client.call("GET", "/v1/webhook_secret"))["signing_secret"]
    with receiving(secret) as receiver:
        asked = replace(task, webhook_url=receiver.url)
        outcomes = await _process_all(client, files, asked, out)
        announced = await await_webhooks(receiver, outcomes, out)
    streamed = await stream_one(client, task.model, out)
    return outcomes, announced and streamed


async def _process_all(
    client: Client, files: Sequence[Path], task: Task, out: Console
) -> list[Outcome]:
    with results_file(RESULTS) as write, progress(out, "documents", len(files)) as advance:

        def on_done(outcome: Outcome) -> None:
            write(outcome)
            advance()

        return await process(client, files, task, at_once=AT_ONCE, on_done=on_done)


def find_documents(folder: Path) -> list[Path]:
    """Return the documents of a folder: everything but scripts, the schema and the instructions.

    Raises:
        CommandError: there are none.
    """
    try:
        found = sorted(each for each in folder.iterdir() if each.is_file())
    except OSError as error:
        message = f"The folder {folder} cannot be read: name one with --documents."
        raise CommandError(message, exit_code=MISUSED) from error
    files = [
        each
        for each in found
        if each.suffix != ".py" and each.name[0] != "." and each.name not in {INSTRUCTIONS, SCHEMA}
    ]
    if not files:
        raise CommandError(f"There are no documents in {folder}.", exit_code=MISUSED)
    return files


def default_model(settings: Settings) -> str:
    """Return OpenAI's small model where there is a key for it, else the sandbox."""
    return OPENAI if "openai" in settings.provider_keys else SANDBOX


def describe(model: str) -> str:
    """Say who answers."""
    if not model.startswith("sandbox/"):
        return f"The answers come from {model}."
    return (
        f"No provider key is used: the answers come from {model}, the built-in sandbox. It copies what"
        " it finds in the text; it is no language model, and nothing leaves this machine."
    )


def is_right(outcome: Outcome) -> bool:
    """Tell whether a document ended as its name lets expect: a broken one fails for that reason."""
    if not outcome.file.name.startswith(BROKEN):
        return outcome.ok
    reason = outcome.job and outcome.job["status_reason"]
    return outcome.status == "failed" and reason == BROKEN_REASON and bool(outcome.error)


def tell(out: Console, outcomes: Sequence[Outcome], task: Task) -> None:
    """Print the table, what went wrong with whom, and where the results are."""
    fields = main_fields(task.schema, wanted=FIELDS)
    out.print(results_table(outcomes, fields, width=out.width))
    for outcome in outcomes:
        if not outcome.ok:
            error = outcome.error or {}
            note = "broken on purpose" if is_right(outcome) else "not expected"
            out.print(
                f"{outcome.file.name} ({note}): {error.get('code')}: {error.get('message')}",
                markup=False,
            )
    done = sum(outcome.ok for outcome in outcomes)
    out.print(
        f"{done} of {len(outcomes)} documents were read by {task.model}; each result is a line of"
        f" {RESULTS.absolute()}",
        markup=False,
    )


def _beside(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).exists() else SAMPLES / name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _note(output: IO[bytes], line: str) -> None:
    output.write(f"penstock: {line}\n".encode())
    output.flush()


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-LAST_LINES:])
