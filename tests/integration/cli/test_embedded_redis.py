"""The Redis that Penstock starts itself: found, durable, private, and never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from api.cli import embedded_redis
from api.cli.embedded_redis import (
    FolderInUseError,
    ServerFailedError,
    ServerNotFoundError,
    find_server,
    start,
)
from tests.servers import free_port

ROOT = Path(__file__).parents[3]
OWNER = """
import sys, time
from pathlib import Path
from api.cli import embedded_redis
server = embedded_redis.start(Path(sys.argv[1]))
print(server.process.pid, flush=True)
time.sleep(600)
"""


def client(url: str) -> redis.Redis:
    connected: redis.Redis = redis.Redis.from_url(url, decode_responses=True)
    return connected


def script(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@dataclass(frozen=True)
class Owner:
    """Another process that has started a server, and that server."""

    process: subprocess.Popen[str]
    server_pid: int


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Return the owner of a server on `tmp_path`."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        yield Owner(process, pid)
        process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_server_on_path_comes_first(name: str, tmp_path: Path) -> None:
    script(tmp_path, name, "exit 0")

    assert find_server(str(tmp_path)) == tmp_path / name


def test_missing_server_is_answered_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _name: None)

    with pytest.raises(ServerNotFoundError, match="apt-get install redis-server"):
        find_server(str(tmp_path))


def test_it_keeps_what_it_is_told_and_never_evicts(tmp_path: Path) -> None:
    with start(tmp_path) as server, client(server.url) as redis_client:
        settings = redis_client.config_get("*")

        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"


def test_nobody_else_may_open_its_socket(tmp_path: Path) -> None:
    with start(tmp_path / "redis") as server, client(server.url) as redis_client:
        assert server.url == f"unix://{tmp_path}/redis/redis.sock?db=0"
        assert redis_client.config_get("port") == {"port": "0"}
        assert (tmp_path / "redis" / "redis.sock").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o700


def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    with start(folder) as server, client(server.url) as redis_client:
        socket = Path(server.url.removeprefix("unix://").removesuffix("?db=0"))

        assert redis_client.ping()
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert not socket.parent.exists()


def test_a_port_answers_on_the_loopback_interface_only(tmp_path: Path) -> None:
    port = free_port()
    with start(tmp_path, port=port) as server, client(server.url) as redis_client:
        assert server.url == f"redis://127.0.0.1:{port}/0"
        assert redis_client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_stopped_server_comes_back_with_its_keys(tmp_path: Path) -> None:
    with start(tmp_path) as server, client(server.url) as redis_client:
        redis_client.set("job", "kept")

    with start(tmp_path) as server, client(server.url) as redis_client:
        assert redis_client.get("job") == "kept"


def test_a_killed_server_comes_back_with_what_was_written(tmp_path: Path) -> None:
    with start(tmp_path) as server, client(server.url) as redis_client:
        redis_client.set("job", "kept")
        _await_write(redis_client)
        server.process.kill()
        server.process.wait()

        with pytest.raises(redis.ConnectionError):
            redis_client.ping()
    assert not server.running

    with start(tmp_path) as server, client(server.url) as redis_client:
        assert redis_client.get("job") == "kept"


def _await_write(redis_client: redis.Redis) -> None:
    # What was written outlives the process; only a machine that dies loses the last second.
    while redis_client.info("persistence")["aof_buffer_length"]:
        threading.Event().wait(0.01)


def test_start_returns_only_when_the_file_is_loaded(tmp_path: Path) -> None:
    with start(tmp_path) as server, client(server.url) as redis_client:
        redis_client.eval("for i = 1, 300000 do redis.call('SET', i, i) end", 0)
        redis_client.bgrewriteaof()
        while redis_client.info("persistence")["aof_rewrite_in_progress"]:
            threading.Event().wait(0.01)

    with start(tmp_path) as server, client(server.url) as redis_client:
        assert redis_client.dbsize() == 300_000


def test_two_owners_cannot_share_a_folder(tmp_path: Path, owner: Owner) -> None:
    with pytest.raises(FolderInUseError, match=str(tmp_path)):
        start(tmp_path)

    os.kill(owner.server_pid, 0)


def test_the_server_of_a_killed_owner_is_replaced(tmp_path: Path, owner: Owner) -> None:
    with client(f"unix://{tmp_path}/redis.sock?db=0") as redis_client:
        redis_client.set("job", "kept")
    owner.process.kill()
    owner.process.wait()

    with start(tmp_path) as server, client(server.url) as redis_client:
        assert server.process.pid != owner.server_pid
        assert redis_client.get("job") == "kept"
    _await_end(owner.server_pid)


def _await_end(pid: int) -> None:
    # An orphan is reaped by whoever adopted it, a moment after it ended.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        threading.Event().wait(0.01)
    pytest.fail(f"process {pid} is still there")


def test_ctrl_c_does_not_reach_it(tmp_path: Path) -> None:
    with start(tmp_path) as server:
        assert os.getpgid(server.process.pid) != os.getpgid(os.getpid())


def test_a_server_that_ends_at_once_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin", "redis-server", "echo out of luck >&2; exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(ServerFailedError, match="out of luck"):
        start(tmp_path / "redis")


def test_a_server_that_never_answers_is_given_up_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin", "redis-server", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    with pytest.raises(ServerFailedError, match=r"did not answer within 0\.3 s"):
        start(tmp_path / "redis", ready_within_s=0.3)

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
