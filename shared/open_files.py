"""The limit of open files: a worker with thousands of calls in flight needs thousands of sockets."""

import resource


def raise_limit() -> int:
    """Lift this process's soft limit to the hard one; return what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
