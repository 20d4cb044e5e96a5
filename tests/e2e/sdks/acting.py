"""What the SDKs' scripts share: act line by line, and tell of what came in words that all have in common.

Reads `{"do": …, "args": […], "with": {…}, "options": {…}}` from standard input, one JSON object a
line, and answers each with a line: `{"value": …}` or `{"raised": …}`. `options` are the client's own.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

JsonObject = dict[str, Any]
Open = Callable[[str, str, JsonObject], Any]
"""Base URL, key and options of a client, to an opened client."""

TOOL = "find_invoice"
DESCRIPTION = "Find an invoice by its number."
NUMBER_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
}


def told(error: BaseException, **more: Any) -> JsonObject:
    """Tell of an exception what a user could ask it; `more` is what this SDK calls otherwise."""
    names = ("status_code", "code", "type", "param", "request_id", "body")
    common = {name: getattr(error, name, None) for name in names}
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None)
    classes = [each.__name__ for each in type(error).__mro__]
    said = {"classes": classes, "message": str(error), "headers": dict(headers or {})}
    return {**common, **said, **more}


def serve(
    acts: dict[str, Callable[..., Any]],
    *,
    opened: Open,
    raises: tuple[type[Exception], ...],
    raised: Callable[[BaseException], JsonObject] = told,
) -> None:
    """Answer line after line until there are no more."""
    foreseen: tuple[type[Exception], ...] = (*raises, ValueError)
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--key", required=True)
    given = parser.parse_args()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            client = opened(given.base_url, given.key, asked["options"])
            answer = {"value": acts[asked["do"]](client, *asked["args"], **asked["with"])}
        except foreseen as error:
            answer = {"raised": raised(error)}
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
        sys.stdout.flush()
