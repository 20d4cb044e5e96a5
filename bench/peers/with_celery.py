"""A pipeline of `celery` on gevent: one worker, results kept in Redis for a day."""

# Before anything opens a socket, or nothing would wait in turns.
from gevent import monkey  # type: ignore[import-untyped]

monkey.patch_all()

import orjson  # noqa: E402
import requests  # noqa: E402
from celery import Celery  # type: ignore[import-not-found]  # noqa: E402
from requests.adapters import HTTPAdapter  # noqa: E402

from bench.peers import asked  # noqa: E402
from bench.peers.asked import Asked  # noqa: E402
from shared import open_files  # noqa: E402


def app_of(options: Asked) -> Celery:
    """Return the application that both sides use."""
    app = Celery("bench", broker=options.redis, backend=options.redis)
    app.conf.worker_hijack_root_logger = False
    session = requests.Session()
    session.headers.update(asked.HEADERS)
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=options.at_once))

    def call(body: str) -> str:
        response = session.post(options.url, data=body, timeout=asked.TIMEOUT_S)
        response.raise_for_status()
        return str(orjson.loads(response.content)["choices"][0]["message"]["content"])

    app.task(call, name="call")
    return app


def work(options: Asked) -> None:
    """Work until the process is ended."""
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING"]
    at_once = ["--pool=gevent", f"--concurrency={options.at_once}"]
    app_of(options).worker_main(["worker", *at_once, *quiet])


def put(options: Asked) -> None:
    """Fill the queue."""
    app = app_of(options)
    for body in options.bodies():
        app.send_task("call", [body])


if __name__ == "__main__":
    open_files.raise_limit()
    told = asked.read(["requests"])
    work(told) if told.what == "work" else put(told)
