"""The schema for a part of a document: what the part does not say may be null. Pure."""

from collections.abc import Mapping

from pydantic import JsonValue

Node = dict[str, JsonValue]
MOST_DEPTH = 12
LOCAL = "#/"
COUNTS = frozenset({"minItems", "minProperties", "contains", "minContains", "dependentRequired"})
"""What a part alone need not meet; the whole must."""


def partial(schema: Mapping[str, JsonValue]) -> Node:
    """Return the schema that the answer for one part must meet: every property may be null.

    Rows of arrays stay as they are: a row is read whole or not at all. References within
    properties are written out, so that the two halves of an object may come from two parts.
    """
    return _Relaxing(dict(schema)).whole()


def resolve(root: Mapping[str, JsonValue], node: JsonValue) -> JsonValue:
    """Return what a node of the form `{"$ref": "#/…"}` refers to, other nodes as they are."""
    for _ in range(MOST_DEPTH):
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str) or not reference.startswith(LOCAL):
            return node
        found = look_up(root, reference[1:])
        if found is None:
            return node
        node = found
    return node


def look_up(value: JsonValue | Mapping[str, JsonValue], pointer: str) -> JsonValue:
    """Return what a JSON pointer (RFC 6901) leads to in a value; None if to nothing."""
    at: object = value
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping):
            at = at.get(name)
        elif isinstance(at, list) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            return None
    return at  # type: ignore[return-value]  # only JSON is in JSON


def schema_at(root: Mapping[str, JsonValue], pointer: str) -> Node | None:
    """Return the schema of the value that a JSON pointer names, None where that is not plain."""
    node: JsonValue = dict(root)
    for part in pointer.split("/")[1:]:
        node = resolve(root, node)
        named = node.get("properties") if isinstance(node, dict) else None
        if not isinstance(named, dict):
            return None
        node = named.get(part.replace("~1", "/").replace("~0", "~"))
    return node if isinstance(node, dict) else None


def empty(root: Mapping[str, JsonValue], schema: JsonValue, depth: int = 0) -> JsonValue:
    """Return what stands for a value that no part has said: null, else an empty list or text.

    An object has its properties empty. For all else there is nothing that would do.
    """
    node = resolve(root, schema)
    if not isinstance(node, dict) or depth > MOST_DEPTH or {"enum", "const"} & node.keys():
        return None
    named = node.get("properties")
    if node.get("type") == "object" and isinstance(named, dict):
        return {name: empty(root, child, depth + 1) for name, child in named.items()}
    if node.get("type") == "array":
        return []
    return "" if node.get("type") == "string" else None


class _Relaxing:
    def __init__(self, root: Node) -> None:
        self._root = root

    def whole(self) -> Node:
        """Relax the root: the answer itself is never null."""
        return self._inside(self._root, 0)

    def _inside(self, node: Node, depth: int) -> Node:
        relaxed = {name: value for name, value in node.items() if name not in COUNTS}
        named = node.get("properties")
        if isinstance(named, dict) and depth < MOST_DEPTH:
            relaxed["properties"] = {
                name: self._nullable(child, depth + 1) for name, child in named.items()
            }
        return relaxed

    def _nullable(self, child: JsonValue, depth: int) -> JsonValue:
        node = resolve(self._root, child) if depth < MOST_DEPTH else child
        if not isinstance(node, dict):
            return True
        inside = self._inside(node, depth)
        kind = inside.get("type")
        if isinstance(kind, str) and not {"enum", "const"} & inside.keys():
            return inside | {"type": kind if kind == "null" else [kind, "null"]}
        if isinstance(kind, list) and "null" in kind:
            return inside
        return {"anyOf": [inside, {"type": "null"}]}
