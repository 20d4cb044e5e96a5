"""`penstock jobs watch`: what becomes of a job, as it happens, until it has ended."""

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import orjson

from api.cli.client import Client, connect
from api.cli.errors import FAILED
from api.cli.events import Event, listen
from api.cli.interrupts import INTERRUPTED
from api.cli.show import plain

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What could steer a terminal; line breaks and tabs are part of a text."""


def run(job_id: str, *, url: str | None, key: str | None, last_event_id: str | None) -> int:
    """Watch a job; return 0 if it completed, 1 if it ended in another way.

    What the model says goes to the standard output, what becomes of the job to the error stream.

    Raises:
        CommandError: there is no such job, or nobody answers.
    """
    try:
        return asyncio.run(_watch(connect(url, key), job_id, last_event_id))
    except KeyboardInterrupt:
        # The job goes on.
        return INTERRUPTED


async def _watch(client: Client, job_id: str, last_event_id: str | None) -> int:
    screen = Screen()
    async with client:
        async with aclosing(listen(client, job_id, last_event_id=last_event_id)) as events:
            async for event in events:
                screen.show(event)
        if not screen.status:
            # Whoever names the last event of all is told nothing.
            screen.note(await client.call("GET", f"/v1/jobs/{job_id}"))
        if screen.status == "completed" and last_event_id is None:
            screen.show_answer(answer_in(await client.call("GET", f"/v1/jobs/{job_id}/result")))
    return 0 if screen.status == "completed" else FAILED


class Screen:
    """What is shown of events, and how the job stands by them."""

    def __init__(self) -> None:
        self.status = ""
        self._shown = ""
        self._in_line = False
        self._spoke = False

    def show(self, event: Event) -> None:
        """Show one event."""
        if event.type == "job.delta":
            self._print("".join(said(event.data)))
        elif event.type == "reset":
            self._line("what was said above is void: it begins anew")
        else:
            self.note(event.data)

    def note(self, job: dict[str, Any]) -> None:
        """Say how the job stands, if that is new."""
        self.status, reason, error = job["status"], job["status_reason"], job["error"]
        text = self.status if reason in {None, self.status} else f"{self.status} ({reason})"
        if error is not None and self.status != "completed":
            text += f": {error['code']}: {error['message']}"
        if text != self._shown:
            self._line(f"{job['id']} is {text}")
        self._shown = text

    def show_answer(self, text: str) -> None:
        """Show the whole answer, where nothing of it was streamed."""
        if text and not self._spoke:
            self._print(text if text.endswith("\n") else f"{text}\n")

    def _print(self, text: str) -> None:
        if text:
            self._spoke = True
            sys.stdout.write(_STEERING.sub(" ", text))
            sys.stdout.flush()
            self._in_line = not text.endswith("\n")

    def _line(self, text: str) -> None:
        if self._in_line:
            self._print("\n")
        print(plain(text), file=sys.stderr, flush=True)


def said(delta: dict[str, Any]) -> Iterator[str]:
    """Yield the text of the first choice in a delta's chunks."""
    for chunk in delta["chunks"]:
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                yield (choice.get("delta") or {}).get("content") or ""


def answer_in(result: dict[str, Any]) -> str:
    """Return what a person wants to read of a result: the text, or a document's data."""
    if result.get("object") == "document.result":
        return orjson.dumps(result["data"], option=orjson.OPT_INDENT_2).decode()
    choices = result.get("choices") or [{}]
    return (choices[0].get("message") or {}).get("content") or ""
