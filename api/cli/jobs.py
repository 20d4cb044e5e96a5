"""`penstock jobs`: list, show, watch, cancel, retry."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
import sys
from typing import Annotated, Any

import typer

from api.cli.options import Key, Url

app = typer.Typer(no_args_is_help=True, help="Look at jobs and steer them.")

JobId = Annotated[str, typer.Argument(help="The job's id: job_…")]


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the newest jobs."""
    from api.cli.show import console, table

    params = {"limit": limit, **({"status": status} if status else {})}
    found = _ask("GET", "/v1/jobs", url, key, params=params)
    titles = ("id", "status", "reason", "endpoint", "model", "created", "cost")
    console().print(table(titles, map(_row, found["data"])))


@app.command()
def show(job_id: JobId, url: Url = None, key: Key = None) -> None:
    """Print a job with its attempts and its result, as JSON."""
    _print(_ask("GET", f"/v1/jobs/{_path(job_id)}", url, key))


@app.command()
def watch(
    job_id: JobId,
    since: Annotated[
        str | None, typer.Option(help="Only what follows the event of this id.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show what becomes of a job, and what its model says, until it has ended; 0 if it completed."""
    from api.cli import watch as command

    sys.exit(command.run(job_id, url=url, key=key, last_event_id=since))


@app.command()
def cancel(job_id: JobId, url: Url = None, key: Key = None) -> None:
    """Cancel a job: one that waits at once, one that runs as soon as its call is closed."""
    job = _ask("POST", f"/v1/jobs/{_path(job_id)}/cancel", url, key)
    print(f"{job['id']} is {job['status']}")


@app.command()
def retry(job_id: JobId, url: Url = None, key: Key = None) -> None:
    """Run a job again that failed, expired or was cancelled."""
    job = _ask("POST", f"/v1/jobs/{_path(job_id)}/retry", url, key)
    print(f"{job['id']} is {job['status']}")


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    names = ("id", "status", "status_reason", "endpoint", "model", "created_at")
    cost = job["cost_usd"]
    return (*(job[name] for name in names), cost and f"${cost}")


def _path(job_id: str) -> str:
    from urllib.parse import quote

    return quote(job_id, safe="")


def _ask(method: str, path: str, url: str | None, key: str | None, **rest: Any) -> dict[str, Any]:
    from api.cli.client import ask

    return ask(method, path, url=url, key=key, **rest)


def _print(value: object) -> None:
    import json

    # ASCII escapes: what a document said must not steer the terminal.
    print(json.dumps(value, indent=2))
