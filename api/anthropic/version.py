"""`anthropic-version` and `-beta`: which rules a request for messages is held to, and what more it asks for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic import JsonValue
from starlette.requests import Request

from shared.errors import BadRequest

HEADER, BETA_HEADER = "anthropic-version", "anthropic-beta"
BETAS = "penstock_anthropic_beta"
"""Where a job's body names them: a provider of the same dialect is asked under them too."""
MOST_BETAS = 32
_BETA = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Version(StrEnum):
    """The versions that Anthropic has published."""

    FIRST = "2023-06-01"
    SECOND = "2026-10-21"


_SAMPLING = ("temperature", "top_p", "top_k")


def version_of(request: Request) -> Version:
    """Return the version that a request names; the first, which allows more, where it names none.

    Raises:
        BadRequest: nobody knows that version.
    """
    named = request.headers.get(HEADER)
    if named is None or not named.strip():
        return Version.FIRST
    try:
        return Version(named.strip())
    except ValueError as error:
        known = " and ".join(f"`{each}`" for each in Version)
        detail = f"`{HEADER}: {named[:40]}` is not known: the versions are {known}."
        raise BadRequest(detail, param=HEADER) from error


def with_betas(request: Request, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a body with what its request says in `anthropic-beta`.

    Raises:
        BadRequest: it is no list of names.
    """
    said = ",".join(request.headers.getlist(BETA_HEADER))
    betas = list(dict.fromkeys(each.strip() for each in said.split(",") if each.strip()))
    if not betas:
        return body
    if len(betas) > MOST_BETAS or not all(map(_BETA.fullmatch, betas)):
        detail = f"`{BETA_HEADER}` must be a list of up to {MOST_BETAS} names with commas between."
        raise BadRequest(detail, param=BETA_HEADER)
    return {**body, BETAS: [*betas]}


def check(version: Version, body: Mapping[str, Any], *, at: str = "") -> None:
    """Refuse what a version has taken away, as Anthropic does; `at` is where the body stands.

    Raises:
        BadRequest: it names the field.
    """
    if version is Version.FIRST:
        return
    for name in _SAMPLING:
        if body.get(name) is not None:
            what = f"`{at}{name}` is not taken any more"
            raise _refused(version, what, f"{at}{name}")
    for place, role, block in _blocks(body.get("messages")):
        kind, where = block.get("type"), f"{at}{place}"
        if role == "assistant" and kind == "document":
            what = f"`{where}` is a document, and a message of the assistant has none"
            raise _refused(version, what, where)
        if role == "user" and kind == "text" and block.get("citations"):
            what = f"`{where}.citations` is not empty, and a message of the user cites nothing"
            raise _refused(version, what, f"{where}.citations")


def _refused(version: Version, what: str, param: str) -> BadRequest:
    detail = f"Under `{HEADER}: {version}` {what}: leave it out, or ask under `{Version.FIRST}`."
    return BadRequest(detail, param=param)


def _blocks(messages: object) -> Iterator[tuple[str, object, Mapping[str, Any]]]:
    # Nothing of the body has been checked yet.
    for at, message in enumerate(_list(messages)):
        if isinstance(message, dict):
            for number, block in enumerate(_list(message.get("content"))):
                if isinstance(block, dict):
                    yield f"messages[{at}].content[{number}]", message.get("role"), block


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
