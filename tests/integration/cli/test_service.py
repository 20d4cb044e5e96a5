"""What must be as it should before anything is started, and what is said when it is not."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from api.cli.errors import CommandError
from api.cli.service import check_port, check_redis, own_folder
from tests.servers import RedisServer, free_port


def test_a_data_folder_has_one_owner(tmp_path: Path) -> None:
    with own_folder(tmp_path / "var"):
        with (
            pytest.raises(CommandError, match="works on the data folder"),
            own_folder(tmp_path / "var"),
        ):
            pass
        with own_folder(tmp_path / "other"):
            pass
    with own_folder(tmp_path / "var"):
        pass


def test_a_data_folder_must_be_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match="PENSTOCK_DATA_DIR"), own_folder(tmp_path / "file"):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_in_use_is_seen(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CommandError, match=f"Port {port} on {host} is in use"):
            check_port(host, port)

    check_port(host, port)


def test_a_host_that_is_not_ours_is_seen() -> None:
    with pytest.raises(CommandError, match=r"cannot listen on 203\.0\.113\.7"):
        check_port("203.0.113.7", free_port())


async def test_a_redis_must_answer(redis_url: str, start_redis: Callable[..., RedisServer]) -> None:
    await check_redis(redis_url)
    dead = start_redis()
    dead.kill()

    with pytest.raises(CommandError, match="PENSTOCK_REDIS_URL"):
        await check_redis(dead.url)
    with pytest.raises(CommandError, match="PENSTOCK_REDIS_URL"):
        await check_redis("nonsense")
