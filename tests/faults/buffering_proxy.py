"""A proxy that buffers answers as nginx does by default, in threads.

It keeps what comes until a buffer is full or the answer has ended (`proxy_buffering on`, `proxy_buffers
8 4k`), unless the answer says `X-Accel-Buffering: no`. Seen to behave like Debian's nginx 1.22 with
nothing but a `proxy_pass`, which is not used because not every machine has it.
"""

import re
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

BUFFER_BYTES = 8 * 4096
CHUNK = 1 << 16
PATIENCE_S = 20


class BufferingProxy:
    """Listens on a port of its own and passes one exchange a connection on to another port."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        upstream = socket.create_connection(("127.0.0.1", self._target))
        self._open += [client, upstream]
        with client, upstream, suppress(OSError):
            upstream.sendall(_read_request(client).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            answer = _read_head(upstream)
            head, _, rest = answer.partition(b"\r\n\r\n")
            buffers = b"x-accel-buffering: no" not in head.lower()
            held = head + b"\r\n\r\n" + rest
            while True:
                if not buffers or len(held) >= BUFFER_BYTES:
                    client.sendall(held)
                    held = b""
                data = upstream.recv(CHUNK)
                if not data:
                    client.sendall(held)
                    return
                held += data


def _read_request(connection: socket.socket) -> bytes:
    data = _read_head(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    missing = int(length[1]) - len(body) if length else 0
    while missing > 0 and (more := connection.recv(missing)):
        data += more
        missing -= len(more)
    return data


def _read_head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(CHUNK)
        if not more:
            raise ConnectionResetError
        data += more
    return data
