"""The operator's TOML file as rows; whatever is wrong with it is told by its line and its field."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from shared.routing.lines import Place, line_of
from shared.routing.problem import ConfigError, Problem
from shared.routing.rows import DeploymentRow, RouteRow

_SYNTAX = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")

_WORDS = {
    "missing": "it is missing: add it",
    "extra_forbidden": "it is not known here: remove it, or correct its name",
}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    deployments: list[DeploymentRow] = Field(default_factory=list)
    routes: list[RouteRow] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a file says, checked row by row; `text` is the file itself, to find lines in."""

    deployments: list[DeploymentRow] = field(default_factory=list)
    routes: list[RouteRow] = field(default_factory=list)
    text: str = field(default="", repr=False)

    def problem(self, place: Place, message: str) -> ConfigError:
        """Return an error about a place in the file."""
        where = ".".join(map(str, place)) or None
        return ConfigError(Problem(message, where, line_of(self.text, place)))


def read_file(path: Path) -> str:
    """Return the file's text, empty when there is none.

    Raises:
        ConfigError: it is not UTF-8.
        OSError: it cannot be read.
    """
    try:
        # Some editors begin a file with a mark of its encoding, which TOML does not know.
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        message = f"{path} is no text in UTF-8: {error.reason} at byte {error.start}"
        raise ConfigError(Problem(message)) from error


def digest_of(text: str) -> str:
    """Return what tells one version of a file from another."""
    return sha256(text.encode()).hexdigest()


def parse(text: str) -> Rows:
    """Read the text of a file.

    Raises:
        ConfigError: it is not TOML, or a row is wrong.
    """
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax(str(error), text)) from error
    except (RecursionError, ValueError) as error:
        message = "not valid TOML: it is nested too deeply, or a number has too many digits"
        raise ConfigError(Problem(message)) from error
    return rows_of(config, text)


def rows_of(config: Mapping[str, JsonValue], text: str = "") -> Rows:
    """Check what a file says, once it is parsed.

    Raises:
        ConfigError: a row is wrong.
    """
    try:
        found = _File.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Rows(text=text).problem(
            first["loc"], words_of(first["type"], first["msg"])
        ) from error
    return Rows(found.deployments, found.routes, text)


def words_of(kind: str, said: str) -> str:
    """Return what pydantic found in words for an operator, who need not know that it was pydantic."""
    plain = said.removeprefix("Value error, ")
    return _WORDS.get(kind) or re.sub(r"^(?:Input|String) should", "it should", plain)


def _syntax(said: str, text: str) -> Problem:
    match = _SYNTAX.match(said)
    if match is None:
        return Problem(f"not valid TOML: {said}")
    line = int(match["line"]) if match["line"] else max(1, len(text.splitlines()))
    return Problem(f"not valid TOML: {match['what']}", line=line)
