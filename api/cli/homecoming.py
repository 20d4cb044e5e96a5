"""How results come home in the demonstration: streamed as they happen, and by signed webhook."""

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing

from rich.console import Console

from api.cli.client import Client
from api.cli.documents import Outcome
from api.cli.events import listen
from api.cli.receiver import Receiver
from api.cli.show import plain
from api.cli.watch import said

QUESTION = "A penstock carries the water down to the turbine, and no drop of it is lost on the way."
SLOW_SANDBOX = "sandbox/chunks-20ms"
PATIENCE_S = 20.0


async def stream_one(client: Client, model: str, out: Console) -> bool:
    """Ask one question as a streaming job and print its events; tell whether it completed."""
    if model.startswith("sandbox/"):
        model = SLOW_SANDBOX
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": QUESTION}]}
    asked = {"endpoint": "/v1/chat/completions", "body": body}
    job = await client.call("POST", "/v1/jobs", json=asked)
    out.print(f"Streaming one answer of {model} as server-sent events:")
    seen: Counter[str] = Counter()
    text, end = "", ""
    async with aclosing(listen(client, job["id"])) as events:
        async for event in events:
            seen[event.type] += 1
            end = event.type
            if event.type == "job.delta":
                text += "".join(said(event.data))
    told = ", ".join(f"{name} × {count}" for name, count in seen.items())
    out.print(f"  {plain(text)}\n  {told}", markup=False)
    return end == "job.completed" and bool(text)


async def await_webhooks(receiver: Receiver, outcomes: Sequence[Outcome], out: Console) -> bool:
    """Wait for the webhook of every document's job; tell whether each came, signed."""
    jobs = {outcome.job["id"] for outcome in outcomes if outcome.job is not None}
    heard = await receiver.heard_of(jobs, patience_s=PATIENCE_S)
    out.print(
        f"{len(heard)} of {len(jobs)} documents were announced by a webhook; each signature was"
        " verified with the standardwebhooks library."
    )
    if receiver.refused:
        out.print(f"{receiver.refused} webhooks were refused: their signature was wrong.")
    return heard == jobs and not receiver.refused
