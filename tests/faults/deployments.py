"""What the fault tests' provider offers: a model for each kind of limit, all at the same price."""

import math
from dataclasses import dataclass

INPUT_NANOUSD, OUTPUT_NANOUSD = 1000, 2000
"""A token's price: 1 and 2 dollars a million."""
KEY = "sk-faults"
OTHER_KEY = "sk-faults-other"
BREAKER = "failure_rate = 0.5, window_s = {window_s}, min_calls = 5, cool_down_s = {cool_down_s}"
NOBODY = "http://127.0.0.1:9/v1"
"""An address where connections are refused."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A row of the configuration; its name is also the model's."""

    name: str
    concurrency: int = 256
    rpm: int | None = None
    tpm: int | None = None
    timeout_s: float | None = None
    keys: tuple[str, ...] = (KEY,)
    base_url: str | None = None

    @property
    def burst(self) -> int:
        """Return how many requests may go at once when the lane was idle: those of ten seconds."""
        assert self.rpm
        return math.ceil(self.rpm / 6)


ALL = (
    Deployment("open"),
    Deployment("wide", concurrency=50),
    Deployment("narrow", concurrency=4),
    Deployment("single", concurrency=1),
    Deployment("paced", rpm=300),
    Deployment("metered", tpm=600_000),
    Deployment("stormy", concurrency=8),
    Deployment("hasty", timeout_s=0.5, concurrency=1),
    Deployment("strict"),
    Deployment("locked"),
    Deployment("barred"),
    Deployment("primary", concurrency=32),
    Deployment("backup", concurrency=32),
    Deployment("flaky", concurrency=32),
    Deployment("pooled", concurrency=4, keys=(KEY, OTHER_KEY)),
    Deployment("doomed", concurrency=32),
    Deployment("rationed", concurrency=8),
    Deployment("weary", concurrency=8),
    Deployment("spent", concurrency=2),
    Deployment("overdrawn", concurrency=2),
    Deployment("resting", concurrency=32),
    Deployment("mute", concurrency=32, timeout_s=0.6),
    Deployment("halting", timeout_s=1.5),
    Deployment("swamped"),
    Deployment("absent", base_url=NOBODY),
    Deployment("ailing", concurrency=8),
)
BY_NAME = {each.name: each for each in ALL}


@dataclass(frozen=True, slots=True)
class Route:
    """A model that several of them serve."""

    model: str
    deployments: tuple[str, ...]
    more: tuple[str, ...] = ()
    window_s: float = 5
    cool_down_s: float = 1


ROUTES = (
    Route("rounded", ("primary", "backup")),
    Route("alone", ("doomed",)),
    Route("flaky-alone", ("flaky",)),
    Route("moving", ("primary", "backup"), ("first_token_s = 0.5", 'on_slow = "move_on"')),
    Route("hedged", ("primary", "backup"), ("first_token_s = 0.5", 'on_slow = "hedge"')),
    Route("consoled", ("doomed",), ('default_answer = "Please call later."',)),
    Route("refined", ("primary", "backup"), ('fallback_on = ["content_filtered"]',)),
    Route("counted", ("primary", "backup"), window_s=60),
    Route("sheltered", ("rationed", "backup")),
    Route("insured", ("overdrawn", "backup")),
    Route("patient", ("resting",), cool_down_s=5),
    Route("spoken-for", ("mute", "backup")),
    Route("present", ("absent", "backup")),
    Route("ailing-alone", ("ailing",), cool_down_s=4),
)


def config(base_url: str, *, changed: Deployment | None = None) -> str:
    """Return the configuration file that offers all of them at one base URL, one of them changed."""
    rows = [changed if changed and changed.name == each.name else each for each in ALL]
    return "\n".join([*(_row(each, base_url) for each in rows), *map(_route, ROUTES)])


def _route(route: Route) -> str:
    names = ", ".join(f'"{name}"' for name in route.deployments)
    lines = ["[[routes]]", f'model = "{route.model}"', f"deployments = [{names}]"]
    breaker = BREAKER.format(window_s=route.window_s, cool_down_s=route.cool_down_s)
    return "\n".join([*lines, f"breaker = {{ {breaker} }}", *route.more, ""])


def _row(deployment: Deployment, base_url: str) -> str:
    lines = [
        "[[deployments]]",
        f'name = "{deployment.name}"',
        'provider = "openai-compatible"',
        f'model = "{deployment.name}"',
        f'base_url = "{deployment.base_url or base_url}"',
        f"keys = {list(deployment.keys)}",
        f"concurrency = {deployment.concurrency}",
        f"price = {{ input_usd = {INPUT_NANOUSD / 1000}, output_usd = {OUTPUT_NANOUSD / 1000} }}",
    ]
    for name in ("rpm", "tpm", "timeout_s"):
        value = getattr(deployment, name)
        if value is not None:
            lines.append(f"{name} = {value}")
    return "\n".join([*lines, ""])
