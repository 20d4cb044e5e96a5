"""Proxies before Redis: one loses some of the replies, one is slow."""

import selectors
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self

from typing_extensions import override

CHUNK = 1 << 16


class Proxy(ABC):
    """Forwards what comes, on a port of its own."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._server.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        self._server.settimeout(0.1)
        while not self._closed.is_set():
            with suppress(OSError):
                client, _ = self._server.accept()
                self._run(self._forward, client)

    def _forward(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as up:
            client.settimeout(None)
            selector = selectors.DefaultSelector()
            selector.register(client, selectors.EVENT_READ, up)
            selector.register(up, selectors.EVENT_READ, client)
            with selector:
                self._pass_on(selector, client)

    def _pass_on(self, selector: selectors.BaseSelector, client: socket.socket) -> None:
        while not self._closed.is_set():
            for key, _ in selector.select(0.1):
                source, sink = key.fileobj, key.data
                data = source.recv(CHUNK)  # type: ignore[union-attr]
                if not data or not self._passes(data, asked=source is client):
                    return
                sink.sendall(data)

    @abstractmethod
    def _passes(self, data: bytes, *, asked: bool) -> bool:
        """Look at what is asked or answered before it goes on; False ends the connection."""


class LossyProxy(Proxy):
    """Of requests that contain a word, every other one is carried out and never answered."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._word: bytes | None = None
        self._seen = 0
        self._losing = threading.local()
        self.lost = 0

    def lose_every_other(self, word: bytes) -> None:
        """From now on lose replies: those of the first, third, fifth … request with this word."""
        self._word = word

    @override
    def _passes(self, data: bytes, *, asked: bool) -> bool:
        # Each connection has a thread of its own.
        if asked:
            self._losing.now = self._loses(data)
        elif getattr(self._losing, "now", False):
            # It was carried out, and nobody will hear of it.
            self.lost += 1
            return False
        return True

    def _loses(self, data: bytes) -> bool:
        if self._word is None or self._word not in data:
            return False
        self._seen += 1
        return self._seen % 2 == 1


class SlowProxy(Proxy):
    """Every request waits before it is carried out."""

    def __init__(self, port: int, *, delay_s: float) -> None:
        super().__init__(port)
        self._delay_s = delay_s

    @override
    def _passes(self, data: bytes, *, asked: bool) -> bool:
        if asked:
            self._closed.wait(self._delay_s)
        return True
