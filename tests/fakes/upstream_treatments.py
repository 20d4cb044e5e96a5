"""How the fake provider answers one call under one rule."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from tests.fakes import upstream_answers as answers
from tests.fakes.upstream_http import Exchange
from tests.fakes.upstream_ledger import Ledger
from tests.fakes.upstream_rules import Rule

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8"}
DONE = b"data: [DONE]\n\n"
FLUSH_S = 0.02


class Call:
    """One call under way: what was asked, how it is to be treated, where it is written down."""

    def __init__(
        self, exchange: Exchange, body: Mapping[str, Any], rule: Rule, number: int
    ) -> None:
        self.exchange, self.body, self.rule = exchange, body, rule
        self.id = f"call-{number}"
        self.options = rule.options
        self.stream = bool(body.get("stream"))
        self._ledger: Ledger | None = None

    def open(self, ledger: Ledger, facts: Mapping[str, str]) -> None:
        """Write the call down as received; a client that leaves is written down as aborted."""
        self._ledger = ledger
        ledger.received(self.id, stream=self.stream, **facts)
        self.exchange.on_gone = lambda: self.finish(None, gone=True)

    def finish(self, status: int | None, *, usage: object = None, gone: bool = False) -> None:
        """Write the call down as over, once; status None means that no whole answer was given."""
        if self._ledger is not None:
            self._ledger.finished(self.id, client_gone=gone, status=status, usage=usage)
            self._ledger = None

    def completion(self) -> dict[str, Any]:
        """Return the whole answer object, with what the rule's options change in it."""
        if self.exchange.path.split("?")[0].endswith("/embeddings"):
            value = answers.embeddings(self.body)
        else:
            content, output_tokens = self.options.get("content"), self.options.get("output_tokens")
            value = answers.chat(
                self.body, call=self.id, content=content, output_tokens=output_tokens
            )
        if "usage" in self.options:
            value["usage"] = self.options["usage"]
        return value

    def events(self, value: Mapping[str, Any]) -> list[bytes]:
        """Return an answer as server-sent events, `[DONE]` not included."""
        asked = (self.body.get("stream_options") or {}).get("include_usage", False)
        rows = answers.chunks(value, include_usage=asked and value.get("usage") is not None)
        return [b"data: " + orjson.dumps(row) + b"\n\n" for row in rows]


def answer(call: Call) -> None:
    """Answer a call as its rule says."""
    TREATMENTS[call.rule.action](call)


def _ok(call: Call) -> None:
    value = call.completion()
    if not call.stream:
        _whole(call, value)
    elif "chunk_delay_ms" in call.options:
        _spawn(call, _paced(call, value))
    else:
        call.exchange.start(200, SSE | _headers(call))
        call.exchange.write(*call.events(value), DONE)
        call.finish(200, usage=value.get("usage"))
        call.exchange.end()


def _whole(call: Call, value: Mapping[str, Any]) -> None:
    call.finish(200, usage=value.get("usage"))
    call.exchange.reply(200, JSON | _headers(call), orjson.dumps(value))


async def _paced(call: Call, value: Mapping[str, Any]) -> None:
    call.exchange.start(200, SSE | _headers(call))
    for event in [*call.events(value), DONE]:
        call.exchange.write(event)
        await asyncio.sleep(call.options["chunk_delay_ms"] / 1000)
    call.finish(200, usage=value.get("usage"))
    call.exchange.end()


def _status(call: Call) -> None:
    status = int(call.options.get("status", 500))
    body = call.options.get("body", {"error": {"message": f"status {status}", "type": "fake"}})
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    call.finish(status)
    call.exchange.reply(status, JSON | _headers(call), raw)


def _hang(call: Call) -> None:
    """Say nothing; the call ends when the client leaves."""


def _drip(call: Call) -> None:
    _spawn(call, _dripping(call))


async def _dripping(call: Call) -> None:
    value = call.completion()
    raw = b"".join([*call.events(value), DONE]) if call.stream else orjson.dumps(value)
    call.exchange.start(200, SSE if call.stream else JSON)
    for byte in raw:
        call.exchange.write(bytes([byte]))
        await asyncio.sleep(call.options.get("interval_ms", 50) / 1000)
    call.finish(200, usage=value.get("usage"))
    call.exchange.end()


def _reset(call: Call) -> None:
    call.finish(None)
    if call.options.get("at") == "start":
        call.exchange.reset()
        return
    _half(call)
    asyncio.get_running_loop().call_later(FLUSH_S, call.exchange.reset)


def _half(call: Call) -> None:
    value = call.completion()
    if call.stream:
        events = call.events(value)
        call.exchange.start(200, SSE)
        call.exchange.write(*events[: len(events) // 2], events[-1][:20])
    else:
        raw = orjson.dumps(value)
        call.exchange.promise(200, JSON, raw[: len(raw) // 2], len(raw))


def _truncate_sse(call: Call) -> None:
    call.finish(None)
    _half(call)
    if call.stream:
        call.exchange.end()
    else:
        asyncio.get_running_loop().call_later(FLUSH_S, call.exchange.close)


def _missing_done(call: Call) -> None:
    value = call.completion()
    if call.options.get("finish_reason", True) is False:
        for choice in value["choices"]:
            choice["finish_reason"] = None
    call.exchange.start(200, SSE)
    call.exchange.write(*call.events(value))
    call.finish(200, usage=value.get("usage"))
    call.exchange.end()


def _malformed_json(call: Call) -> None:
    call.finish(200)
    if call.stream:
        call.exchange.start(200, SSE)
        call.exchange.write(b'data: {"id": "x", "choices": [\n\n', DONE)
        call.exchange.end()
    else:
        call.exchange.reply(200, JSON, b'{"id": "x", "choices": [')


def _empty_choices(call: Call) -> None:
    value = call.completion()
    value["data" if "data" in value else "choices"] = []
    if not call.stream:
        _whole(call, value)
        return
    call.exchange.start(200, SSE)
    call.exchange.write(*call.events(value), DONE)
    call.finish(200, usage=value.get("usage"))
    call.exchange.end()


def _error(call: Call) -> dict[str, Any]:
    plain = {"message": "the fake broke", "type": "server_error", "code": "server_error"}
    return {"error": call.options.get("error", plain)}


def _error_in_200(call: Call) -> None:
    call.finish(200)
    call.exchange.reply(200, JSON, orjson.dumps(_error(call)))


def _error_mid_stream(call: Call) -> None:
    events = call.events(call.completion())
    call.exchange.start(200, SSE)
    call.exchange.write(*events[: len(events) // 2])
    call.exchange.write(b"data: " + orjson.dumps(_error(call)) + b"\n\n")
    call.finish(200)
    call.exchange.end()


def _no_usage(call: Call) -> None:
    call.options = {**call.options, "usage": None}
    _ok(call)


def _huge(call: Call) -> None:
    size = int(float(call.options.get("mb", 30)) * 1024 * 1024)
    call.options = {**call.options, "content": "x" * size}
    _ok(call)


def _headers(call: Call) -> dict[str, str]:
    return dict(call.options.get("headers") or {})


def _spawn(call: Call, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)

    def gone() -> None:
        task.cancel()
        call.finish(None, gone=True)

    call.exchange.on_gone = gone


TREATMENTS: dict[str, Callable[[Call], None]] = {
    "ok": _ok,
    "gate": _ok,
    "status": _status,
    "hang": _hang,
    "drip": _drip,
    "reset": _reset,
    "truncate_sse": _truncate_sse,
    "missing_done": _missing_done,
    "malformed_json": _malformed_json,
    "empty_choices": _empty_choices,
    "error_in_200": _error_in_200,
    "error_mid_stream": _error_mid_stream,
    "no_usage": _no_usage,
    "huge": _huge,
}
