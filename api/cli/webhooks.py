"""`penstock webhooks`: receivers of events, what was delivered to them, and sending it again."""

# ruff: noqa: PLC0415  a command loads what it needs when it runs, so that `--help` is quick
import sys
from typing import Annotated, Any

import typer

from api.cli.options import Key, Url

app = typer.Typer(no_args_is_help=True, help="Look after webhooks and their deliveries.")

EndpointId = Annotated[str, typer.Argument(help="The receiver's id: whe_…")]
DeliveryId = Annotated[str, typer.Argument(help="The delivery's id: dlv_…")]
_ENDPOINTS, _DELIVERIES = "/v1/webhook_endpoints", "/v1/webhook_deliveries"


@app.command("list")
def list_endpoints(url: Url = None, key: Key = None) -> None:
    """List the receivers of the events of all jobs."""
    from api.cli.show import console, table

    found = _ask("GET", _ENDPOINTS, url, key, params={"limit": 100})
    titles = ("id", "name", "url", "events", "enabled", "failures")
    console().print(table(titles, map(_endpoint_row, found["data"])))


@app.command()
def create(
    receiver: Annotated[str, typer.Argument(help="Where events are posted to.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "webhook",
    event: Annotated[
        list[str] | None, typer.Option(help="Of what, e.g. job.completed; repeatable. Else of all.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Register a receiver and print the secret that signs what it gets: it is shown this once."""
    body = {"name": name, "url": receiver, "event_types": event or []}
    made = _ask("POST", _ENDPOINTS, url, key, json=body)
    print(f"{made['id']}; the secret is shown this once:", file=sys.stderr)
    print(made["signing_secret"])


@app.command()
def rotate(
    endpoint_id: EndpointId,
    keep_old: Annotated[bool, typer.Option(help="Sign with both for 24 hours.")] = True,
    url: Url = None,
    key: Key = None,
) -> None:
    """Take another secret and print it: it is shown this once."""
    body = {"keep_old_secret_active_for_24_hours": keep_old}
    path = f"{_ENDPOINTS}/{_path(endpoint_id)}/rotate_secret"
    made = _ask("POST", path, url, key, json=body)
    print(f"{made['id']}; the secret is shown this once:", file=sys.stderr)
    print(made["signing_secret"])


@app.command()
def enable(endpoint_id: EndpointId, url: Url = None, key: Key = None) -> None:
    """Deliver again to a receiver that was disabled."""
    body = {"enabled": True}
    _ask("POST", f"{_ENDPOINTS}/{_path(endpoint_id)}", url, key, json=body)
    print(f"{endpoint_id} is enabled")


@app.command("test")
def send_sample(
    endpoint_id: EndpointId,
    event: Annotated[str, typer.Option(help="Of which type.")] = "job.completed",
    url: Url = None,
    key: Key = None,
) -> None:
    """Send a sample event and print the receiver's status."""
    body = {"event_type": event}
    answer = _ask("POST", f"{_ENDPOINTS}/{_path(endpoint_id)}/test", url, key, json=body)
    print(f"{endpoint_id} answered {answer['status_code']}")


@app.command()
def recover(
    endpoint_id: EndpointId,
    since: Annotated[str, typer.Option(help="From this time on, e.g. 2026-01-01T00:00:00Z.")],
    until: Annotated[str | None, typer.Option(help="Before this time; now if not given.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send again what failed or was skipped, the oldest first."""
    body = {"since": since, **({"until": until} if until else {})}
    done = _ask("POST", f"{_ENDPOINTS}/{_path(endpoint_id)}/recover", url, key, json=body)
    more = "; there are more: repeat it" if done["has_more"] else ""
    print(f"{done['recovered']} deliveries are sent again{more}")


@app.command()
def deliveries(
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only to this receiver: whe_…")] = None,
    job: Annotated[str | None, typer.Option(help="Only of this job.")] = None,
    state: Annotated[
        str | None, typer.Option(help="pending, delivered, failed or skipped.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many, newest first.")] = 20,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the newest deliveries."""
    from api.cli.show import console, table

    asked = {"webhook_endpoint_id": endpoint, "job_id": job, "state": state}
    params = {"limit": limit, **{name: value for name, value in asked.items() if value}}
    found = _ask("GET", _DELIVERIES, url, key, params=params)
    names = ("id", "state", "event_type", "job_id", "url", "try_count", "created_at", "next_try_at")
    rows = ([each[name] for name in names] for each in found["data"])
    titles = ("id", "state", "event", "job", "url", "tries", "created", "next try")
    console().print(table(titles, rows))


@app.command()
def show(delivery_id: DeliveryId, url: Url = None, key: Key = None) -> None:
    """Print a delivery with what is sent and every try, as JSON."""
    import json

    # ASCII escapes: what a receiver said must not steer the terminal.
    print(json.dumps(_ask("GET", f"{_DELIVERIES}/{_path(delivery_id)}", url, key), indent=2))


@app.command()
def resend(delivery_id: DeliveryId, url: Url = None, key: Key = None) -> None:
    """Send a delivery once more now, whatever became of it before."""
    sent = _ask("POST", f"{_DELIVERIES}/{_path(delivery_id)}/resend", url, key)
    print(f"{sent['id']} is {sent['state']}")


def _endpoint_row(endpoint: dict[str, Any]) -> tuple[object, ...]:
    events = ", ".join(endpoint["event_types"]) or "all"
    enabled = "yes" if endpoint["enabled"] else f"no: {endpoint['disabled_reason']}"
    head = (endpoint[name] for name in ("id", "name", "url"))
    return (*head, events, enabled, endpoint["failures"])


def _path(identifier: str) -> str:
    from urllib.parse import quote

    return quote(identifier, safe="")


def _ask(method: str, path: str, url: str | None, key: str | None, **rest: Any) -> dict[str, Any]:
    from api.cli.client import ask

    return ask(method, path, url=url, key=key, **rest)
