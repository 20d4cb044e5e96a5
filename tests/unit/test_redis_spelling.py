"""Commands are spelled in C just as the library spells them."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection

from shared import redis

COMMANDS: Sequence[Sequence[Any]] = (
    ("EVALSHA", "abc", 2, "{rl:x}:lane", "k", 1.5, -7, b"\x00\xff", "ü", ""),
    ("PUBLISH", "channel", b"a\r\nb"),
    ("SCRIPT LOAD", "return 1"),
    ("PING",),
)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("redis://127.0.0.1:1/0", Connection),
        ("rediss://127.0.0.1:1/0", SSLConnection),
        ("unix:///nowhere?db=0", UnixDomainSocketConnection),
    ],
)
def test_every_way_to_redis_spells_alike(url: str, kind: type[Connection]) -> None:
    """Whatever the URL says, the connection is of the library's kind and sends the same bytes."""
    pool = redis.connect(url).connection_pool
    ours = pool.make_connection()  # type: ignore[no-untyped-call]
    assert isinstance(ours, kind)
    for commands in (COMMANDS[:2], COMMANDS):
        theirs = b"".join(kind.pack_commands(ours, commands))
        assert b"".join(ours.pack_commands(commands)) == theirs
