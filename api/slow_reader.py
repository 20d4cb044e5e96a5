"""A client that does not take what is sent to it, and how it is got rid of."""

from starlette.types import Receive


class SlowReader(Exception):
    """The client has not taken what was sent to it in time."""


def abort(receive: Receive) -> bool:
    """Break the connection off; False where the server does not let us.

    A server that merely closes it waits until the client has read what is under way. ASGI has no
    word for more, so this takes what uvicorn's `receive` belongs to.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        return False
    transport.abort()
    return True
