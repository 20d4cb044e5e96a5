"""The whole of Penstock on one machine, as its Procfile starts it, in a folder that is thrown away."""

import asyncio
import contextlib
import secrets
import shlex
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.cli import embedded_redis
from api.cli.prepare import prepare
from bench import processes
from bench.processes import Child, cpu_seconds, peak_mb
from bench.wire import Client
from shared.settings import Settings

READY_WITHIN_S = 30
POLL_S = 0.02
MODEL = "bench"
CONFIG = """\
[[deployments]]
name = "{model}"
provider = "openai-compatible"
model = "bench"
base_url = "http://127.0.0.1:{port}/v1"
keys = ["sk-bench"]
concurrency = {concurrency}
timeout_s = 600
price = {{ input_usd = 0.15, output_usd = 0.60 }}
"""


@dataclass(slots=True)
class Service:
    """A running service; `parts` are its processes by their Procfile names.

    `others` tell the CPU seconds of what else works for it.
    """

    port: int
    key: str
    folder: Path
    redis_pid: int
    environment: Mapping[str, str]
    parts: dict[str, Child] = field(default_factory=dict)
    others: dict[str, Callable[[], float]] = field(default_factory=dict)

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds used so far, by process."""
        used = {name: child.cpu_s() for name, child in self.parts.items()}
        used |= {name: cpu_s() for name, cpu_s in self.others.items()}
        return {**used, "redis": cpu_seconds(self.redis_pid)}

    def rss_mb(self) -> dict[str, float]:
        """Return the peak of resident memory, by process."""
        peaks = {name: child.rss_mb() for name, child in self.parts.items()}
        return {**peaks, "redis": peak_mb(self.redis_pid)}

    def check(self) -> None:
        """Raise if a process is gone.

        Raises:
            RuntimeError: with the end of its log.
        """
        for child in self.parts.values():
            child.check()

    def start(self, name: str, part: str) -> Child:
        """Start one more process of a part of the Procfile."""
        arguments = _command(part, self.port)
        child = processes.python(name, arguments, logs=self.folder, environment=self.environment)
        self.parts[name] = child
        return child


@contextlib.contextmanager
def running(
    upstream_port: int,
    *,
    concurrency: int,
    parts: tuple[str, ...] = ("api", "worker", "scheduler"),
    settings: Mapping[str, str] | None = None,
    config: str | None = None,
) -> Iterator[Service]:
    """Start Redis (AOF), a fresh SQLite (WAL) and the processes; stop and remove it all afterwards.

    `concurrency` is what the deployment admits; `settings` are further PENSTOCK_ variables, `config`
    is another configuration than that of one deployment.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as name:
        folder = Path(name)
        with embedded_redis.start(folder / "redis", port=free_port()) as redis:
            service = Service(
                port=free_port(),
                key=f"pk_{secrets.token_urlsafe(32)}",
                folder=folder,
                redis_pid=redis.process.pid,
                environment={},
            )
            service.environment = _environment(service, redis.url, settings or {})
            config = config or CONFIG.format(
                model=MODEL, port=upstream_port, concurrency=concurrency
            )
            (folder / "penstock.toml").write_text(config)
            with contextlib.ExitStack() as exits:
                _prepare(service)
                exits.callback(_stop_all, service)
                for part in parts:
                    service.start(part, part)
                asyncio.run(_ready(service, consuming="worker" in parts))
                yield service


def _environment(service: Service, redis_url: str, more: Mapping[str, str]) -> dict[str, str]:
    return {
        "PENSTOCK_REDIS_URL": redis_url,
        "PENSTOCK_DATABASE_URL": f"sqlite+aiosqlite:///{service.folder / 'penstock.db'}",
        "PENSTOCK_DATA_DIR": str(service.folder),
        "PENSTOCK_CONFIG": str(service.folder / "penstock.toml"),
        "PENSTOCK_PORT": str(service.port),
        "PENSTOCK_ADMIN_KEY": service.key,
        "PENSTOCK_LOG_LEVEL": "info",
        **more,
    }


def _prepare(service: Service) -> None:
    settings = Settings(
        data_dir=service.folder,
        database_url=service.environment["PENSTOCK_DATABASE_URL"],
        admin_key=service.key,
    )
    asyncio.run(prepare(settings))


def _command(part: str, port: int) -> list[str]:
    rows = (processes.ROOT / "Procfile").read_text().splitlines()
    commands = dict(row.split(": ", 1) for row in rows if ": " in row)
    line = commands[part].replace("${PENSTOCK_HOST:-127.0.0.1}", "127.0.0.1")
    words = shlex.split(line.replace("${PENSTOCK_PORT:-8000}", str(port)))
    return words[1:] if words[0] == "python" else ["-m", *words]


async def _ready(service: Service, *, consuming: bool) -> None:
    client = Client(service.port, key=service.key, size=1)
    deadline = time.monotonic() + READY_WITHIN_S
    path = "/readyz" if consuming else "/healthz"
    while time.monotonic() < deadline:
        service.check()
        with contextlib.suppress(OSError):
            status, _ = await client.get(path)
            if status == 200:
                client.close()
                return
        await asyncio.sleep(POLL_S)
    logs = "\n".join(f"{name}: {child.last_words()}" for name, child in service.parts.items())
    raise RuntimeError(f"the service was not ready in {READY_WITHIN_S} s:\n{logs}")


def _stop_all(service: Service) -> None:
    for child in service.parts.values():
        if child.process.poll() is None:
            child.process.terminate()
    for child in service.parts.values():
        child.stop()


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
