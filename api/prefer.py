"""The `Prefer` header (RFC 7240): wait for the answer, or do not."""

from dataclasses import dataclass

from starlette.requests import Request

LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Preference:
    """What the client prefers; `applied` is for the `Preference-Applied` header."""

    wait_s: float = 0.0
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """Name the preferences that were honoured."""
        names = ["respond-async"] if self.respond_async else []
        if self.wait_s:
            names.append(f"wait={self.wait_s:g}")
        return ", ".join(names) or None


def preference(request: Request) -> Preference:
    """Read the header: the first of a name wins, what is unknown or wrong is ignored."""
    tokens: dict[str, str] = {}
    for header in request.headers.getlist("prefer"):
        for part in header.split(","):
            name, _, value = part.partition(";")[0].strip().partition("=")
            tokens.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = tokens.get("wait", "")
    seconds = min(float(wait), LONGEST_WAIT_S) if wait.isdecimal() else 0.0
    return Preference(seconds, "respond-async" in tokens)
