"""How a stream fails that has begun: its status is sent, so the error is its last event."""

from shared.errors import PenstockError


class StreamBroken(PenstockError):
    """What was streamed so far is no part of the answer; another call may do better."""

    status, code, title = 502, "stream_broken", "Stream broken off"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_s=1)
