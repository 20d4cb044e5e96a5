"""What is wrong with a configuration: in which line, with which field, in words."""

from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `line` is None where it stands in no file."""

    message: str
    field: str | None = None
    line: int | None = None

    @override
    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.field}: {self.message}" if self.field else f"{where}{self.message}"


class ConfigError(ValueError):
    """The deployments and routes cannot be used as they stand."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"the configuration is wrong: {problem}")
        self.problem = problem
