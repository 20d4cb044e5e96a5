"""What every pipeline of *drain* is told on its command line, and what each call asks."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench import prompts

TIMEOUT_S = 600
HEADERS = {"authorization": "Bearer sk-bench", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Asked:
    """`what` is `work` or `put`; `at_once` is how many calls a worker makes at a time."""

    what: str
    redis: str
    url: str
    client: str
    jobs: int
    first: int
    at_once: int

    def bodies(self) -> Iterator[str]:
        """Yield the chat requests that are put, as JSON."""
        asked = prompts.chats(self.first + self.jobs, model="bench")
        return (body.decode() for number, body in enumerate(asked) if number >= self.first)


def read(clients: Sequence[str]) -> Asked:
    """Read the command line of a pipeline that can call with these clients."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("work", "put"))
    parser.add_argument("--redis", required=True)
    parser.add_argument("--url", default="")
    parser.add_argument("--client", choices=clients, default=clients[0])
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=1000)
    return Asked(**vars(parser.parse_args()))
