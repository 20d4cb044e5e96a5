"""Structured logs: one JSON line an event, with ids, never with prompts or keys."""

import contextlib
import json
import logging
import sys
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import Processor

# At their lower levels these tell what they were handed: statements, addresses, bodies. Uvicorn's
# access log has whole query strings; ours has the template of the path.
NOISY = (
    "alembic",
    "httpx",
    "httpcore",
    "aiosqlite",
    "asyncio",
    "python_multipart",
    "dramatiq.worker",
    "uvicorn.access",
)
# These brought handlers of their own, which write plain lines.
SERVERS = ("uvicorn", "uvicorn.error")


class _Sink:
    """A stream whose end is nobody's trouble: a request must not fail for want of a log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(level: str, output: Literal["json", "console"], stream: TextIO | None = None) -> None:
    """Set up structlog and route the standard library's loggers through it, to stderr by default."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        # Our own lines do not go through the standard library: that costs several times as much.
        processors=[*shared, *_last(output)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Sink(stream))),
        # 3 µs a line dearer, and what is configured later (in tests) holds for every logger.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_last(output),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel("WARNING")
    # Uvicorn asks whether anyone listens before it makes a line.
    logging.getLogger("uvicorn.access").propagate = False
    for name in SERVERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _as_text(event: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # It is strict where a line had better be written: half a surrogate pair, a huge number.
        return json.dumps(event, default=repr)


def _last(output: Literal["json", "console"]) -> list[Processor]:
    if output == "console":
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        ]
    # Tracebacks as text, without the values of variables: those are prompts.
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_as_text),
    ]
