"""A fake provider that speaks every dialect, run as a process of its own.

    python -m tests.fakes.upstream --port 0 --ledger ledger.jsonl

The first line it prints is its port. It answers the calls of each wire (see `upstream_wire.py`)
and `…/models`, keeps a ledger that survives a kill, and is told how to misbehave over HTTP:
`POST /_script`, `/_clear`, `/_release`, `GET /_ledger`, `/_stats`.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.fakes.upstream_doors import turned_away
from tests.fakes.upstream_http import Connection, Exchange
from tests.fakes.upstream_ledger import Ledger
from tests.fakes.upstream_rules import Script
from tests.fakes.upstream_treatments import UNREADABLE, Call, answer
from tests.fakes.upstream_wire import Wire, wire_of

BACKLOG = 4096


class Upstream:
    """The provider: its script, its ledger, and the calls that wait at the gate."""

    def __init__(self, ledger: Ledger, *, latency_ms: float) -> None:
        self._ledger = ledger
        self._latency_ms = latency_ms
        self._script = Script()
        self._gated: list[Call] = []
        self._number = len(ledger.lines())

    def handle(self, exchange: Exchange) -> None:
        """Answer a request: a call, or one of the controls."""
        path = exchange.path.split("?")[0]
        posted = exchange.method == "POST"
        wire = wire_of(path) if posted else None
        away = turned_away(exchange.path, exchange.headers) if posted else None
        if away is not None:
            exchange.json(away.body, status=away.status)
        elif wire is not None:
            self._call(exchange, path, wire)
        elif path.startswith("/_"):
            self._control(exchange, path)
        elif path.endswith("/models"):
            exchange.json({"object": "list", "data": [{"id": "fake", "object": "model"}]})
        else:
            exchange.json({"error": {"message": f"no path {path}"}}, status=404)

    def _call(self, exchange: Exchange, path: str, wire: Wire) -> None:
        try:
            body: Mapping[str, Any] = orjson.loads(exchange.body)
        except orjson.JSONDecodeError:
            exchange.json(wire.error("the body is not JSON", status=400), status=400)
            return
        try:
            facts = {"model": wire.model(path, body), "marker": wire.marker(body)}
        except UNREADABLE as error:
            exchange.json(wire.error(f"strange request: {error!r}", status=400), status=400)
            return
        facts |= {"key": wire.key(exchange.headers), "path": path, "peer": exchange.peer}
        self._number += 1
        call = Call(exchange, wire, body, self._script.take(facts), self._number)
        call.open(self._ledger, facts)
        self._later(call)

    def _later(self, call: Call) -> None:
        if call.rule.action == "gate":
            self._gated.append(call)
            return
        delay_ms = call.options.get("delay_ms", self._latency_ms)
        if delay_ms:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_ms / 1000, self._answer, call)
        else:
            self._answer(call)

    def _answer(self, call: Call) -> None:
        if not call.exchange.done:
            answer(call)

    def _control(self, exchange: Exchange, path: str) -> None:
        given = orjson.loads(exchange.body or b"{}")
        try:
            exchange.json(self._controlled(path, given))
        except ValueError as error:
            exchange.json({"error": str(error)}, status=400)

    def _controlled(self, path: str, given: Mapping[str, Any]) -> object:
        match path:
            case "/_script":
                self._script.add(given["rules"])
                return {}
            case "/_clear":
                self._script.clear()
                return {}
            case "/_release":
                return {"released": self._release(given.get("count"))}
            case "/_ledger":
                return self._ledger.lines()
            case "/_stats":
                return {**self._ledger.stats(), "gated": len(self._gated)}
            case _:
                message = f"no control is called {path}"
                raise ValueError(message)

    def _release(self, count: int | None) -> int:
        waiting = [call for call in self._gated if not call.exchange.done]
        freed, self._gated = waiting[:count], waiting[len(waiting[:count]) :]
        for call in freed:
            answer(call)
        return len(freed)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, if asked to watch it, the end of standard input."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.watch_stdin:
        loop.add_reader(0, stop.set)
    ledger = Ledger(options.ledger)
    upstream = Upstream(ledger, latency_ms=options.latency_ms)
    server = await loop.create_server(
        lambda: Connection(upstream.handle), "127.0.0.1", options.port, backlog=BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the promised first line
    await stop.wait()
    server.close()
    ledger.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A fake provider.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--watch-stdin", action="store_true", help="stop when stdin closes")
    sys.exit(uvloop.run(serve(parser.parse_args())))


if __name__ == "__main__":
    main()
