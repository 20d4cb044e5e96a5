"""Function calls and what they answered, which Google tells by name rather than by id. Pure."""

from collections import deque
from typing import Any

import orjson

from shared.dialects.gemini.fields import Fields, fields, listed, text
from shared.dialects.gemini.media import read_file, read_inline, written_media
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.conversation import Media, Text, ToolCall, ToolResult

UNSIGNED = "skip_thought_signature_validator"
"""What Google's documentation asks for instead of a signature that a call never had.

Its newer models refuse a past call without one, as calls of other providers' models are.
"""


class Calls:
    """The calls of a conversation so far: results need not say which id they answer."""

    def __init__(self) -> None:
        self._made = 0
        self._open: dict[int, tuple[str, str]] = {}
        # Where they stand, by id and by name: what was answered is left there until it is met.
        self._ids: dict[str, deque[int]] = {}
        self._names: dict[str, deque[int]] = {}

    def made(self, given: str | None, name: str) -> str:
        """Note a call; return its id, one of ours where it has none."""
        self._made += 1
        call_id = given or f"call_{self._made}"
        self._open[self._made] = (call_id, name)
        self._ids.setdefault(call_id, deque()).append(self._made)
        self._names.setdefault(name, deque()).append(self._made)
        return call_id

    def answered(self, given: str | None, name: str) -> str | None:
        """Return the id of the call that a result is of, None where there was no such call."""
        places = self._names.get(name) if given is None else self._ids.get(given)
        while places:
            found = self._open.pop(places.popleft(), None)
            if found is not None:
                return found[0]
        return given


def read_call(part: Fields, where: str, calls: Calls) -> ToolCall:
    """Read a part with a `functionCall`.

    Raises:
        Unreadable: it has no name, or arguments that are no object.
    """
    where = f"{where}.functionCall"
    given = fields(part["functionCall"], where)
    name = text(given, "name", where, needed=True) or ""
    call_id = calls.made(text(given, "id", where), name)
    return ToolCall(call_id, name, read_arguments(given, where), signature_of(part))


def read_arguments(given: Fields, where: str) -> str:
    """Return a call's arguments as JSON text, empty where there are none.

    Raises:
        Unreadable: they are no object.
    """
    args = given.get("args")
    if args is None:
        return ""
    if not isinstance(args, dict):
        message = f"`{where}.args` must be an object"
        raise Unreadable(message, f"{where}.args")
    return orjson.dumps(args).decode()


def signature_of(part: Fields) -> str | None:
    """Return a part's thought signature, if it is a real one."""
    found = part.get("thoughtSignature")
    return found if isinstance(found, str) and found not in ("", UNSIGNED) else None


def read_result(value: object, where: str, calls: Calls) -> ToolResult:
    """Read a `functionResponse`; its `output` or `error`, if that is all, is the text itself.

    Raises:
        Unreadable: it has no name, or answers no call.
    """
    given = fields(value, where)
    name = text(given, "name", where, needed=True) or ""
    call_id = calls.answered(text(given, "id", where), name)
    if call_id is None:
        message = f"`{where}` answers no function call before it: `{name}` was not called"
        raise Unreadable(message, f"{where}.name")
    response = given.get("response", {})
    if not isinstance(response, dict):
        message = f"`{where}.response` must be an object"
        raise Unreadable(message, f"{where}.response")
    said, failed = _said(response)
    shown = _shown(given, where)
    return ToolResult(call_id, (*said, *shown), is_error=failed, name=name)


def written_call(call: ToolCall) -> dict[str, Any]:
    """Write a call as a part.

    Raises:
        Unsupported: its arguments are no JSON object.
    """
    written: dict[str, Any] = {"id": call.id, "name": call.name}
    if call.arguments:
        written["args"] = arguments_of(call)
    signed = {"thoughtSignature": call.signature} if call.signature else {}
    return {"functionCall": written, **signed}


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as the object that they are.

    Raises:
        Unsupported: they are none.
    """
    try:
        found = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unsupported("tool calls whose arguments are no JSON object")
    return found


def written_result(result: ToolResult, name: str) -> dict[str, Any]:
    """Write what the tool of a name answered as a part; what it shows stands beside what it says."""
    said = [part.text for part in result.parts if isinstance(part, Text)]
    shown = [written_media(part) for part in result.parts if isinstance(part, Media)]
    key = "error" if result.is_error else "output"
    response = {key: "\n".join(said)} if said or not shown or result.is_error else {}
    written: dict[str, Any] = {"id": result.call_id, "name": name, "response": response}
    if shown:
        written["parts"] = shown
    return {"functionResponse": written}


def _said(response: Fields) -> tuple[tuple[Text, ...], bool]:
    if not response:
        return (), False
    name, value = next(iter(response.items()))
    if len(response) > 1 or name not in ("output", "error"):
        return (Text(orjson.dumps(response).decode()),), False
    said = value if isinstance(value, str) else orjson.dumps(value).decode()
    return ((Text(said),) if said else ()), name == "error"


def _shown(given: Fields, where: str) -> tuple[Media, ...]:
    shown: list[Media] = []
    for number, each in enumerate(listed(given.get("parts", []), f"{where}.parts")):
        place = f"{where}.parts[{number}]"
        part = fields(each, place)
        if "inlineData" in part:
            shown.append(read_inline(part["inlineData"], f"{place}.inlineData"))
        elif "fileData" in part:
            shown.append(read_file(part["fileData"], f"{place}.fileData"))
        else:
            message = f"`{place}` must have `inlineData` or `fileData`"
            raise Unreadable(message, place)
    return tuple(shown)
