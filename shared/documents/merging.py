"""The answers for the parts of a document to one answer for the whole. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from pydantic import JsonValue

from shared.documents.partial_schema import empty, resolve

Answer = tuple[int, JsonValue]
"""The number of a chunk, and what was read there."""
Origins = dict[str, tuple[int, ...]]
"""The chunks that each value came from, by its JSON pointer."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that some chunks agree on, where others say something else."""

    value: JsonValue
    chunks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The value of the whole; where chunks disagree it has the first candidate for now."""

    value: JsonValue
    origins: Origins = field(default_factory=dict)
    conflicts: dict[str, list[Candidate]] = field(default_factory=dict)


def merge(answers: Sequence[Answer], schema: Mapping[str, JsonValue]) -> Merged:
    """Join answers in their order.

    Objects are joined property by property; lists are put one behind the other without what an
    earlier chunk had already (what stands twice in one chunk stays twice); of single values all
    that are not null or empty must agree, or they are a conflict.
    """
    merging = _Merging(dict(schema))
    value = merging.join("", list(answers), dict(schema))
    return Merged(value, merging.origins, merging.conflicts)


def leaves(value: JsonValue, pointer: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Return each single value within a value, with its JSON pointer."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, below(pointer, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, f"{pointer}/{index}")
    else:
        yield pointer, value


def below(pointer: str, name: str) -> str:
    """Return the JSON pointer of a property."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def same(value: JsonValue) -> bytes:
    """Return bytes that are equal for values that mean the same: spaces do not count, 1 is 1.0."""
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, float) and value.is_integer():
        return int(value) if abs(value) < 2**53 else value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


class _Merging:
    def __init__(self, root: dict[str, JsonValue]) -> None:
        self._root = root
        self.origins: Origins = {}
        self.conflicts: dict[str, list[Candidate]] = {}

    def join(self, pointer: str, answers: Sequence[Answer], schema: JsonValue) -> JsonValue:
        """Return the one value that the answers make at this place."""
        schema = resolve(self._root, schema)
        said = [(chunk, value) for chunk, value in answers if value is not None]
        telling = [(chunk, value) for chunk, value in said if value not in ("", [], {})] or said
        objects = [(chunk, value) for chunk, value in telling if isinstance(value, dict)]
        lists = [(chunk, value) for chunk, value in telling if isinstance(value, list)]
        if telling and len(objects) == len(telling):
            return self._object(pointer, objects, schema)
        if telling and len(lists) == len(telling) and not _has(schema, "prefixItems"):
            return self._list(pointer, lists)
        if not telling and answers:
            return empty(self._root, schema)
        return self._single(pointer, telling)

    def _object(
        self, pointer: str, answers: Sequence[tuple[int, dict[str, JsonValue]]], schema: JsonValue
    ) -> dict[str, JsonValue]:
        named = schema.get("properties") if isinstance(schema, dict) else None
        properties = named if isinstance(named, dict) else {}
        seen = {name for _, value in answers for name in value}
        # In the order of the schema, then of the answers: it reads like one of a piece.
        names = [name for name in properties if name in seen]
        names += [
            name for name in dict.fromkeys(n for _, v in answers for n in v) if name not in names
        ]
        return {
            name: self.join(
                below(pointer, name),
                [(chunk, value[name]) for chunk, value in answers if name in value],
                properties.get(name),
            )
            for name in names
        }

    def _list(
        self, pointer: str, answers: Sequence[tuple[int, list[JsonValue]]]
    ) -> list[JsonValue]:
        joined: list[JsonValue] = []
        chunks: list[list[int]] = []
        places: dict[bytes, list[int]] = {}
        for chunk, items in answers:
            times: dict[bytes, int] = {}
            for item in items:
                key = same(item)
                nth = times[key] = times.get(key, 0) + 1
                known = places.setdefault(key, [])
                if nth > len(known):
                    known.append(len(joined))
                    joined.append(item)
                    chunks.append([])
                its = chunks[known[nth - 1]]
                if chunk not in its:
                    its.append(chunk)
        for index, item in enumerate(joined):
            self._note(f"{pointer}/{index}", item, tuple(chunks[index]))
        return joined

    def _single(self, pointer: str, answers: Sequence[Answer]) -> JsonValue:
        if not answers:
            return None  # not even null was said
        candidates: dict[bytes, Candidate] = {}
        for chunk, value in answers:
            key = same(value)
            known = candidates.get(key, Candidate(value, ()))
            candidates[key] = Candidate(known.value, (*known.chunks, chunk))
        first = next(iter(candidates.values()))
        if len(candidates) > 1:
            self.conflicts[pointer] = list(candidates.values())
        else:
            self._note(pointer, first.value, first.chunks)
        return first.value

    def _note(self, pointer: str, value: JsonValue, chunks: tuple[int, ...]) -> None:
        self.origins.update({place: chunks for place, _ in leaves(value, pointer)})


def _has(schema: JsonValue, keyword: str) -> bool:
    return isinstance(schema, dict) and keyword in schema


def settled(merged: Merged, chosen: Mapping[str, JsonValue]) -> Merged:
    """Return the whole with the values that were chosen for its conflicts, by their pointers.

    A chosen value comes from the chunks of the candidate that it is; one that was made of several
    comes from all of theirs.
    """
    value, origins = merged.value, dict(merged.origins)
    for pointer, candidates in merged.conflicts.items():
        if pointer not in chosen:
            continue
        value = _replaced(value, pointer.split("/")[1:], chosen[pointer])
        key = same(chosen[pointer])
        its = [each.chunks for each in candidates if same(each.value) == key]
        every = its or [each.chunks for each in candidates]
        chunks = tuple(sorted({chunk for some in every for chunk in some}))
        origins.update({place: chunks for place, _ in leaves(chosen[pointer], pointer)})
    return Merged(value, origins)


def _replaced(value: JsonValue, path: Sequence[str], new: JsonValue) -> JsonValue:
    if not path:
        return new
    # Conflicts are never inside of lists.
    name = path[0].replace("~1", "/").replace("~0", "~")
    inside = value if isinstance(value, dict) else {}
    return {**inside, name: _replaced(inside.get(name), path[1:], new)}


def origins_in(value: JsonValue, merged: Merged) -> Origins:
    """Return the origins of a value that was made of a whole by correcting it.

    What stands at another place than before is found again by what it is; what is new has none.
    """
    before = {place: same(each) for place, each in leaves(merged.value)}
    by_value: dict[bytes, tuple[int, ...]] = {}
    for place, key in before.items():
        by_value.setdefault(key, merged.origins.get(place, ()))
    found: Origins = {}
    for place, each in leaves(value):
        key = same(each)
        stays = before.get(place) == key
        chunks = merged.origins.get(place, ()) if stays else by_value.get(key, ())
        if chunks:
            found[place] = chunks
    return found
