"""How the sandbox should behave: the deployment's options, then what the model's name asks for. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from shared.inference.vendors import SANDBOX

DIRECTIVE = re.compile(
    r"(?P<slow>slow-(?P<slow_ms>\d+)ms)"
    r"|(?P<chunks>chunks-(?P<chunk_ms>\d+)ms)"
    r"|(?P<status>(?:error|reject)-(?P<code>[45]\d\d))"
    r"|(?P<flaky>flaky-(?P<percent>\d{1,3}))"
    r"|(?P<limit>limit-(?P<rpm>\d+)rpm)"
    r"|(?P<context>context-(?P<tokens>\d+))"
)


# What begins like one of them, and is none, was meant to be one.
MEANT = re.compile(r"(?:slow|chunks|error|reject|flaky|limit|context)-.*")
EXAMPLES = "slow-500ms, chunks-20ms, error-503, reject-400, flaky-20, limit-60rpm, context-8000"
LARGEST = 2**31 - 1
MOST_PERCENT = 100
FIRST_STATUS, LAST_STATUS = 400, 599


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
        # No number is NaN: it is not at least anything.
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, int | float) or not numeric or not 0 <= value <= LARGEST:
            message = f"the sandbox's option {name} must be a number from 0 to {LARGEST}"
            raise ValueError(message)
        options = READERS[name](options, value)
    if options.error_rate > 1:
        message = "the sandbox's option `error_rate` is a share: between 0 and 1"
        raise ValueError(message)
    if options.status is not None and not FIRST_STATUS <= options.status <= LAST_STATUS:
        message = (
            f"the sandbox's option `status` is one of failure: {FIRST_STATUS} to {LAST_STATUS}"
        )
        raise ValueError(message)
    return options


def check_model(model: str) -> None:
    """Make sure that a model's name asks for what there is.

    Raises:
        ValueError: a part of it does not; the message says what it may be.
    """
    for part in model.rpartition("/")[2].split("+"):
        found = DIRECTIVE.fullmatch(part)
        if found is None and MEANT.fullmatch(part):
            message = f"the sandbox does not know what `{part[:64]}` is: write it as in {EXAMPLES}"
            raise ValueError(message)
        numbers = [] if found is None else re.findall(r"\d+", part)
        most = MOST_PERCENT if part.startswith("flaky-") else LARGEST
        if any(len(each) > len(str(most)) or int(each) > most for each in numbers):
            message = f"the number in `{part[:64]}` may be {most} at most"
            raise ValueError(message)


def check_deployment(provider: str | None, said: str | Mapping[str, JsonValue]) -> None:
    """Make sure of a deployment's model, or of its options, which only the sandbox has.

    Raises:
        ValueError: what is wrong.
    """
    if isinstance(said, str):
        if provider == SANDBOX:
            check_model(said)
    elif provider == SANDBOX:
        read_options(said)
    elif said and provider is not None:
        message = f"only the sandbox has options: {provider} has none"
        raise ValueError(message)


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
