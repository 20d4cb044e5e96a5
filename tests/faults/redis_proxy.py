"""A proxy before Redis that carries requests out and loses some of the replies."""

import select
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK = 1 << 16


class LossyProxy:
    """Forwards; of requests that contain a word, every other one is carried out and never answered."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._word: bytes | None = None
        self._seen = 0
        self.lost = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._closed = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._server.getsockname()[1]}/0"

    def lose_every_other(self, word: bytes) -> None:
        """From now on lose replies: those of the first, third, fifth … request with this word."""
        self._word = word

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
            lose = False
            while not self._closed.is_set():
                ready, _, _ = select.select([client, up], [], [], 0.1)
                if client in ready:
                    if not (data := client.recv(CHUNK)):
                        return
                    lose = self._loses(data)
                    up.sendall(data)
                if up in ready:
                    if not (data := up.recv(CHUNK)):
                        return
                    if lose:
                        # It was carried out, and nobody will hear of it.
                        self.lost += 1
                        return
                    client.sendall(data)

    def _loses(self, data: bytes) -> bool:
        if self._word is None or self._word not in data:
            return False
        self._seen += 1
        return self._seen % 2 == 1
