"""How the fake provider answers one call under one rule."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from tests.fakes.upstream_http import Exchange
from tests.fakes.upstream_ledger import Ledger
from tests.fakes.upstream_rules import Rule
from tests.fakes.upstream_wire import Wire

JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8"}
FLUSH_S = 0.02
UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)


class Call:
    """One call under way: what was asked, how it is to be treated, where it is written down."""

    def __init__(
        self, exchange: Exchange, wire: Wire, body: Mapping[str, Any], rule: Rule, number: int
    ) -> None:
        self.exchange, self.wire, self.body, self.rule = exchange, wire, body, rule
        self.id = f"call-{number}"
        self.options = rule.options
        self.path = exchange.path.split("?")[0]
        self.stream = wire.streams(self.path, body)
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
        content, output_tokens = self.options.get("content"), self.options.get("output_tokens")
        value = self.wire.answer(
            self.path, self.body, call=self.id, content=content, output_tokens=output_tokens
        )
        if "usage" in self.options:
            self.wire.set_usage(value, self.options["usage"])
        if self.options.get("withheld"):
            for choice in value["choices"]:
                choice["message"]["content"], choice["finish_reason"] = "", "content_filter"
        return value

    def events(self, value: Mapping[str, Any]) -> list[bytes]:
        """Return an answer as server-sent events, without what ends their stream."""
        return self.wire.events(value, self.body)

    def refusal(self) -> str | None:
        """Return why the real provider would not take the call."""
        return self.wire.refusal(self.path, self.exchange.headers, self.body)


def answer(call: Call) -> None:
    """Answer a call as its rule says; one that no server could read with 400."""
    try:
        TREATMENTS[call.rule.action](call)
    except UNREADABLE as error:
        if call.exchange.done:
            raise
        call.finish(400)
        call.exchange.json(call.wire.error(f"strange request: {error!r}", status=400), status=400)


def _ok(call: Call) -> None:
    refusal = call.refusal()
    if refusal is not None:
        call.finish(400)
        call.exchange.json(call.wire.error(refusal, status=400), status=400)
        return
    value = call.completion()
    if not call.stream:
        _whole(call, value)
    elif "chunk_delay_ms" in call.options:
        _spawn(call, _paced(call, value))
    else:
        call.exchange.start(200, SSE | _headers(call))
        call.exchange.write(*call.events(value), call.wire.terminator)
        call.finish(200, usage=call.wire.usage(value))
        call.exchange.end()


def _whole(call: Call, value: Mapping[str, Any]) -> None:
    call.finish(200, usage=call.wire.usage(value))
    call.exchange.reply(200, JSON | _headers(call), orjson.dumps(value))


async def _paced(call: Call, value: Mapping[str, Any]) -> None:
    call.exchange.start(200, SSE | _headers(call))
    for number, event in enumerate([*call.events(value), call.wire.terminator]):
        if number == call.options.get("stalls_at"):
            await asyncio.Event().wait()
        call.exchange.write(event)
        await asyncio.sleep(call.options["chunk_delay_ms"] / 1000)
    call.finish(200, usage=call.wire.usage(value))
    call.exchange.end()


def _status(call: Call) -> None:
    status = int(call.options.get("status", 500))
    body = call.options.get("body", call.wire.error(f"status {status}", status=status))
    raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
    call.finish(status)
    call.exchange.reply(status, JSON | _headers(call), raw)


def _hang(call: Call) -> None:
    """Say nothing; the call ends when the client leaves."""


def _drip(call: Call) -> None:
    _spawn(call, _dripping(call))


async def _dripping(call: Call) -> None:
    value = call.completion()
    raw = (
        b"".join([*call.events(value), call.wire.terminator])
        if call.stream
        else orjson.dumps(value)
    )
    call.exchange.start(200, SSE if call.stream else JSON)
    for byte in raw:
        call.exchange.write(bytes([byte]))
        await asyncio.sleep(call.options.get("interval_ms", 50) / 1000)
    call.finish(200, usage=call.wire.usage(value))
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
        call.wire.unfinish(value)
    call.exchange.start(200, SSE)
    call.exchange.write(*call.events(value))
    call.finish(200, usage=call.wire.usage(value))
    call.exchange.end()


def _malformed_json(call: Call) -> None:
    call.finish(200)
    if call.stream:
        call.exchange.start(200, SSE)
        call.exchange.write(call.wire.broken_event, call.wire.terminator)
        call.exchange.end()
    else:
        call.exchange.reply(200, JSON, b'{"id": "x", "choices": [')


def _empty_choices(call: Call) -> None:
    value = call.completion()
    call.wire.empty(value)
    if not call.stream:
        _whole(call, value)
        return
    call.exchange.start(200, SSE)
    call.exchange.write(*call.events(value), call.wire.terminator)
    call.finish(200, usage=call.wire.usage(value))
    call.exchange.end()


def _error(call: Call) -> dict[str, Any]:
    plain = call.wire.error("the fake broke")
    return {**plain, "error": call.options.get("error", plain["error"])}


def _error_in_200(call: Call) -> None:
    call.finish(200)
    call.exchange.reply(200, JSON, orjson.dumps(_error(call)))


def _error_mid_stream(call: Call) -> None:
    events = call.events(call.completion())
    call.exchange.start(200, SSE)
    half = len(events) // 2
    call.exchange.write(*events[:half])
    call.exchange.write(call.wire.error_event(_error(call), half))
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
