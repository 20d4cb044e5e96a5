"""Structured logs: one JSON line an event, with ids, never with prompts or keys."""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

# At their lower levels these tell what they were handed: statements, addresses, bodies. Uvicorn's
# access log has whole query strings; ours has the template of the path.
NOISY = (
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


def configure(level: str, output: Literal["json", "console"]) -> None:
    """Set up structlog and route the standard library's loggers through it."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # 3 µs a line dearer, and what is configured later (in tests) holds for every logger.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
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
    for name in SERVERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _last(output: Literal["json", "console"]) -> list[Processor]:
    if output == "console":
        plain = structlog.dev.plain_traceback
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        ]
    # Tracebacks as text, without the values of variables: those are prompts.
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
