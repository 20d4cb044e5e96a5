"""How Redis comes to harm: it keeps what it held, or nothing of it."""

import shutil

from tests.faults.service import Service

FORGETFUL = ("flush", "restart")
"""Ways to lose everything: emptied while it runs, or started again on an empty folder."""


def lose_data(service: Service, how: str) -> None:
    """Let Redis forget everything, in one of the `FORGETFUL` ways."""
    if how == "flush":
        with service.redis_client() as client:
            client.flushall()
    else:
        service.redis.kill()
        for kept in service.redis.folder.glob("appendonly*"):  # a folder since Redis 7
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
        service.redis.start()


def harm(service: Service, how: str) -> None:
    """Restart Redis so that it keeps its data (`keep`), or let it forget everything."""
    if how == "keep":
        service.redis.restart()
    else:
        lose_data(service, how)
