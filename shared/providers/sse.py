"""Server-sent events, read from bytes as they arrive; pure, and whatever way the bytes are cut."""

from dataclasses import dataclass

BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """One event is larger than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"one event of the stream is larger than {limit} bytes")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: `data` holds its data lines joined with LF; `event` is its type, if named."""

    data: bytes
    event: str = "message"


class EventParser:
    """Turns bytes into events, as the WHATWG specification tells.

    Lines end with LF, CR or CRLF. Comments, ids, retry times and unknown fields are skipped; an
    event without data is not one; what stands after the last blank line is dropped.
    """

    def __init__(self, *, max_event_bytes: int) -> None:
        self._limit = max_event_bytes
        self._tail: list[bytes] = []
        self._tail_bytes = self._data_bytes = 0
        self._after_cr = False
        self._first_line = True
        self._data: list[bytes] = []
        self._event = "message"

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events that they complete.

        Raises:
            EventTooLarge: the event under way exceeds the limit.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            # Kept in pieces: joining at every read would cost the square of a long line.
            self._tail.append(chunk)
            self._tail_bytes += len(chunk)
            self._check()
            return []
        # Split only at CR, LF and CRLF, which is what bytes.splitlines does.
        lines = b"".join([*self._tail, chunk]).splitlines(keepends=True)
        self._tail = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        self._tail_bytes = len(self._tail[0]) if self._tail else 0
        self._after_cr = not self._tail and lines[-1].endswith(b"\r")
        return [event for line in lines if (event := self._line(line.rstrip(b"\r\n")))]

    def _check(self) -> None:
        if self._tail_bytes + self._data_bytes > self._limit:
            raise EventTooLarge(self._limit)

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._data_bytes += len(value)
            self._check()
        elif name == b"event":
            self._event = value.decode(errors="replace") or "message"
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._data_bytes, self._event = [], 0, "message"
        return ServerSentEvent(b"\n".join(data), event) if data else None
