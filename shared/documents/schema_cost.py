"""How often a schema would be checked against one value.

References that fan out (`allOf` with the same `$ref` twice, and so on down) make a kilobyte of
schema into hours of work: the validator walks every path. This counts the paths without walking
them.
"""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

# Keywords whose schemas look at the same value.
SAME_VALUE_ONE = ("not", "if", "then", "else")
SAME_VALUE_LIST = ("allOf", "anyOf", "oneOf")
# Keywords whose schema looks at each part of the value.
PART_ONE = (
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
)
REFUSED = ("$dynamicRef", "$recursiveRef", "$id")
CEILING = 10**9
MAX_CHAIN = 150
Object = dict[str, JsonValue]


class SchemaRefError(Exception):
    """A reference that is not of the form `#` or `#/…`, that leads nowhere, or on and on."""


def visits(schema: Mapping[str, JsonValue], depth: int) -> int:
    """Return an upper bound of how often schemas meet one value `depth` levels down.

    Raises SchemaRefError for references that this cannot follow.
    """
    return _Paths(dict(schema)).count(dict(schema), depth, 0)


class _Paths:
    """Counts with a memory, so that the work is nodes times depth and not the paths themselves."""

    def __init__(self, root: Object) -> None:
        self._root = root
        self._known: dict[tuple[int, int], int] = {}

    def count(self, node: JsonValue, depth: int, chain: int) -> int:
        """Return the paths to one value; `chain` counts the steps that led here."""
        if not isinstance(node, dict):
            return 1
        if chain > MAX_CHAIN:
            raise SchemaRefError("The schema's references lead on and on.")
        key = (id(node), depth)
        if key not in self._known:
            self._known[key] = 0  # a reference straight back to here adds nothing
            total = 1 + sum(self.count(child, depth, chain + 1) for child in self._same(node))
            if depth > 0:
                total += self._parts(node, depth - 1, chain + 1)
            self._known[key] = min(total, CEILING)
        return self._known[key]

    def _same(self, node: Object) -> Iterable[JsonValue]:
        """Yield the schemas that look at the same value as `node`."""
        for keyword in REFUSED:
            if keyword in node and not (keyword == "$id" and node == self._root):
                raise SchemaRefError(f"{keyword} is not supported: refer to #/$defs/… instead.")
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield self._resolve(reference)
        for keyword in SAME_VALUE_ONE:
            if keyword in node:
                yield node[keyword]
        for keyword in SAME_VALUE_LIST:
            yield from _items(node.get(keyword))
        yield from _values(node.get("dependentSchemas"))

    def _parts(self, node: Object, depth: int, chain: int) -> int:
        """Count for one part of the value: of `properties` one schema meets it, of patterns all."""
        all_of = [node[keyword] for keyword in PART_ONE if keyword in node]
        all_of += _values(node.get("patternProperties"))
        total = sum(self.count(child, depth, chain) for child in all_of)
        for one_of in (_values(node.get("properties")), _items(node.get("prefixItems"))):
            total += max((self.count(child, depth, chain) for child in one_of), default=0)
        return total

    def _resolve(self, reference: str) -> JsonValue:
        if reference != "#" and not reference.startswith("#/"):
            raise SchemaRefError(f"The reference {reference!r} does not begin with '#/'.")
        node: JsonValue = self._root
        for part in reference[2:].split("/") if reference != "#" else ():
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                raise SchemaRefError(f"The reference {reference!r} leads nowhere.")
        return node


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _values(value: JsonValue) -> list[JsonValue]:
    return list(value.values()) if isinstance(value, dict) else []
