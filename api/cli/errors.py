"""What a command line may complain of: one clear line, no traceback."""

FAILED, MISUSED = 1, 2
"""Exit codes: it did not work · it was not asked for in a way that could work."""


class CommandError(Exception):
    """Ends the command with its one line on the error stream and with `exit_code`."""

    def __init__(self, message: str, *, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def first_line(error: BaseException) -> str:
    """Return what an error of some library says, shortened to its first line."""
    origin = getattr(error, "orig", None) or error
    text = str(origin).strip() or type(origin).__name__
    return text.splitlines()[0].removesuffix(".")
