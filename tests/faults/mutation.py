"""What a mutation is: one promise, and how it is broken."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is taken away, by replacing a text in a file, and the test that must fail for it."""

    name: str
    path: str
    old: str
    new: str
    test: str
    where: str = "tests/faults"
