"""How the sandbox should behave: the deployment's options, then what the model's name asks for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

DIRECTIVE = re.compile(
    r"(?P<slow>slow-(?P<slow_ms>\d+)ms)"
    r"|(?P<chunks>chunks-(?P<chunk_ms>\d+)ms)"
    r"|(?P<status>(?:error|reject)-(?P<code>[45]\d\d))"
    r"|(?P<flaky>flaky-(?P<percent>\d{1,3}))"
    r"|(?P<limit>limit-(?P<rpm>\d+)rpm)"
    r"|(?P<context>context-(?P<tokens>\d+))"
)


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What to pretend.

    `latency_ms` passes before anything is answered, `chunk_ms` between the chunks of a stream.
    `status` makes every call fail with it; `error_rate` (0 to 1) makes that share fail, with 503.
    `rpm` is a limit on calls in any minute, `context_tokens` on the input.
    """

    latency_ms: float = 0
    chunk_ms: float = 0
    status: int | None = None
    error_rate: float = 0
    rpm: int | None = None
    context_tokens: int = 128_000


def read_options(given: Mapping[str, JsonValue]) -> SandboxOptions:
    """Read the options of a deployment row.

    Raises:
        ValueError: an option is unknown or its value is out of range.
    """
    options = SandboxOptions()
    for name, value in given.items():
        if name not in READERS:
            message = f"the sandbox has no option `{name}`: {', '.join(READERS)}"
            raise ValueError(message)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            message = f"the sandbox's option `{name}` must be a number, zero or more"
            raise ValueError(message)
        options = READERS[name](options, value)
    if options.error_rate > 1:
        message = "the sandbox's option `error_rate` is a share: between 0 and 1"
        raise ValueError(message)
    return options


def for_model(options: SandboxOptions, model: str) -> SandboxOptions:
    """Apply what a model's name asks for, such as `slow-500ms` or `slow-50ms+flaky-20`.

    Any other name is a plain model that answers at once.
    """
    for part in model.rpartition("/")[2].split("+"):
        found = DIRECTIVE.fullmatch(part)
        if found is not None and found.lastgroup is not None:
            options = _apply(options, found)
    return options


def _apply(options: SandboxOptions, found: re.Match[str]) -> SandboxOptions:
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    for group, option, scale in DIRECTIVES:
        if group in said:
            return READERS[option](options, int(said[group]) * scale)
    return options


# The number in a directive, the option that it sets, and what to multiply it with.
DIRECTIVES: tuple[tuple[str, str, float], ...] = (
    ("slow_ms", "latency_ms", 1),
    ("chunk_ms", "chunk_ms", 1),
    ("code", "status", 1),
    ("percent", "error_rate", 0.01),
    ("rpm", "rpm", 1),
    ("tokens", "context_tokens", 1),
)

READERS: Mapping[str, Callable[[SandboxOptions, float], SandboxOptions]] = {
    "latency_ms": lambda options, value: replace(options, latency_ms=value),
    "chunk_ms": lambda options, value: replace(options, chunk_ms=value),
    "status": lambda options, value: replace(options, status=int(value)),
    "error_rate": lambda options, value: replace(options, error_rate=value),
    "rpm": lambda options, value: replace(options, rpm=int(value)),
    "context_tokens": lambda options, value: replace(options, context_tokens=int(value)),
}
