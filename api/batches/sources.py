"""Where the lines of a batch come from: a file, an archive, or the request itself."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Row

from api.batches.checking import Findings, refuse_invalid
from api.batches.given import MEDIA_TYPE, Given, LineOf, parse_element, write_lines
from api.batches.request import BatchFile, BatchSubmit
from api.files import BATCH
from api.multipart import FOLDER, ReceivedFile
from shared.batches.lines import LineChecker, LineError
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions
from shared.errors import BadRequest, NotFound, TooLarge
from shared.files import store as file_store
from shared.files.blobs import BlobStore, new_key
from shared.jobs.admission import Load
from shared.resources import Resources

GIVEN = ("input_file_id", "requests", "files", "archive")
OF_DOCUMENTS = ("files", "archive")
BYTES_A_TOKEN = 3
_ZIP_NAME, _ZIP_TYPES = ".zip", {"application/zip", "application/x-zip-compressed"}


@dataclass(frozen=True, slots=True)
class Pile:
    """Lines, as they came: just one of `content` (to be stored), `received` and `file` is there.

    `lines` is 0 where nobody has counted them, `tokens` a guess. `checked` says that every one was
    found right and needs no validation; `model` is then the one that they all name, if there is one.
    """

    kind: InputKind
    lines: int
    size: int
    tokens: int
    content: bytes | None = None
    received: ReceivedFile | None = None
    file: Row[Any] | None = None
    checked: bool = False
    model: str | None = None

    @property
    def blob(self) -> str:
        """Where they lie."""
        if self.file is not None:
            return str(self.file.blob)
        return "" if self.received is None else self.received.blob

    @property
    def identity(self) -> str:
        """Tell the bytes that came with the request from others."""
        return "" if self.received is None else self.received.sha256

    @property
    def load(self) -> Load:
        """Return what it adds to what waits."""
        return Load(self.lines, self.size, self.tokens)


def which(asked: BatchSubmit) -> str | None:
    """Name the field that has the lines; None for a batch whose lines are all to come.

    Raises:
        BadRequest: it is none, or more than one.
    """
    given = [name for name in GIVEN if getattr(asked, name) is not None]
    if len(given) > 1:
        detail = f"Give just one of {', '.join(GIVEN)}: {' and '.join(given)} were given."
        raise BadRequest(detail, param=given[1])
    if not given and not asked.open:
        detail = (
            "There are no lines: give `input_file_id`, `requests`, `files` or `archive`, or send a"
            " form with a `file`, or set `open` to add them later."
        )
        raise BadRequest(detail, param="input_file_id", code="missing_field")
    return given[0] if given else None


def kind_of(received: ReceivedFile) -> InputKind:
    """Tell an archive from a file of requests by its name or media type."""
    named = received.filename.lower().endswith(_ZIP_NAME)
    return InputKind.ZIP if named or received.content_type in _ZIP_TYPES else InputKind.JSONL


async def checker_of(resources: Resources, options: BatchOptions, tenant_id: str) -> LineChecker:
    """Return the check of one tenant's lines."""
    standing = await resources.standings.of(tenant_id)
    return LineChecker(resources.catalog, resources.settings, options, standing=standing)


async def gather(asked: BatchSubmit, name: str, resources: Resources, tenant_id: str) -> Pile:
    """Return the lines that a request names.

    Raises:
        BadRequest, NotFound: a file that is not there or for something else, or lines that cannot
            be done.
    """
    if name == "files":
        return await _pile_of_documents(asked.files or (), resources, tenant_id)
    file_id = str(getattr(asked, name))
    async with resources.database.reading() as db:
        file = await file_store.get(db, tenant_id, file_id)
    if file is None:
        raise no_file([file_id], param=name)
    if name == "archive":
        return pile_of_file(InputKind.ZIP, file)
    if file.purpose != BATCH:
        detail = (
            f"The file `{file_id}` was uploaded with the purpose `{file.purpose}`: upload it with"
            f" `{BATCH}`, so that its lines are counted."
        )
        raise BadRequest(detail, param=name, code="invalid_file_purpose")
    return pile_of_file(InputKind.JSONL, file)


def pile_of_file(kind: InputKind, file: Row[Any]) -> Pile:
    """Return the lines of a file that is there."""
    lines = (file.lines or 0) if kind is InputKind.JSONL else 0
    return Pile(kind, lines, file.bytes, file.bytes // BYTES_A_TOKEN, file=file)


def pile_of_upload(received: ReceivedFile) -> Pile:
    """Return the lines of a file that came with the request."""
    kind = kind_of(received)
    lines = received.lines if kind is InputKind.JSONL else 0
    return Pile(kind, lines, received.size, received.size // BYTES_A_TOKEN, received=received)


async def pile_of_requests(
    given: Given,
    checker: LineChecker,
    options: BatchOptions,
    blobs: BlobStore,
    *,
    read: LineOf,
    tell: Callable[[LineError], LineError] | None = None,
    advice: str = "Correct them.",
    checked: bool = False,
) -> Pile:
    """Write lines that came in the body into the blob store, all of them checked.

    `read` returns each as it is to be kept, `tell` what is wrong with one as its sender knows it.
    Where they are `checked` nobody does it again, and they count as lines from the beginning.

    Raises:
        BadRequest: it names those that cannot be done, unless they are to be skipped; nothing is
            kept then.
    """
    findings = Findings()

    def line_of(element: bytes, number: int) -> bytes:
        line = read(element, number)
        found = checker.check(line, number)
        findings.add(tell(found) if tell and isinstance(found, LineError) else found)
        return line

    received = await write_lines(
        blobs,
        aiter(given),
        line_of,
        finish=lambda: refuse_invalid(findings, options.on_invalid, advice=advice),
    )
    return pile_of_lines(received, findings, checked=checked)


def pile_of_lines(received: ReceivedFile, findings: Findings, *, checked: bool) -> Pile:
    """Return lines that were written and looked at; `checked` says that this will do."""
    return Pile(
        InputKind.JSONL,
        findings.total,
        received.size,
        findings.tokens,
        received=received,
        checked=checked,
        model=findings.model if checked else None,
    )


def as_given(element: bytes, number: int) -> bytes:
    """Return a line of ours as it came, in one line."""
    return orjson.dumps(parse_element(element, number))


async def _pile_of_documents(
    given: Sequence[str | BatchFile], resources: Resources, tenant_id: str
) -> Pile:
    ids = [each if isinstance(each, str) else each.file_id for each in given]
    await find_documents(resources, tenant_id, ids, param="files")
    async with resources.database.reading() as db:
        found = await file_store.get_many(db, tenant_id, ids)
    names = Counter(found[each].filename for each in given if isinstance(each, str))
    lines = []
    for each in given:
        if isinstance(each, BatchFile):
            lines.append({"custom_id": each.custom_id, "file_id": each.file_id})
            continue
        filename = found[each].filename
        # Two files of one name are told apart by their ids.
        custom_id = filename if names[filename] == 1 else f"{filename[:190]} ({each})"
        lines.append({"custom_id": custom_id, "file_id": each})
    _refuse_twice(lines)
    content = b"\n".join([*map(orjson.dumps, lines), b""])
    tokens = sum(found[each].bytes for each in ids) // BYTES_A_TOKEN
    return Pile(InputKind.FILES, len(lines), len(content), tokens, content=content)


async def find_documents(
    resources: Resources, tenant_id: str, ids: Sequence[str], *, param: str
) -> Mapping[str, Row[Any]]:
    """Return the files by id.

    Raises:
        NotFound: some of them are not there.
    """
    async with resources.database.reading() as db:
        found = await file_store.get_many(db, tenant_id, ids)
    if missing := [each for each in dict.fromkeys(ids) if each not in found]:
        raise no_file(missing, param=param)
    return found


def _refuse_twice(lines: Sequence[Mapping[str, str]]) -> None:
    names = Counter(line["custom_id"] for line in lines)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        detail = (
            f"`files` has `{twice[:64]}` twice: name each file once, or give each a `custom_id` of"
            " its own."
        )
        raise BadRequest(detail, param="files", code="duplicate_custom_id")


def no_file(missing: Sequence[str], *, param: str) -> NotFound:
    """Return the refusal of ids that name no file."""
    more = f", nor {len(missing) - 1} others of the request" if len(missing) > 1 else ""
    detail = f"There is no file `{missing[0][:64]}`{more}: upload it with POST /v1/files first."
    return NotFound(detail, code="file_not_found", param=param)


def refuse_too_many(lines: int, most: int, *, param: str) -> None:
    """Refuse a batch of more lines than one may have.

    Raises:
        TooLarge: it names the limit and the number.
    """
    if lines <= most:
        return
    detail = f"The batch would have {lines} lines, and {most} is the most: split it."
    numbers = {"limit": most, "current": lines}
    raise TooLarge(detail, code="too_many_lines", param=param, extra={**numbers})


async def stored(pile: Pile, resources: Resources) -> Pile:
    """Return the same lines, none of them in memory any more."""
    if pile.content is None:
        return pile
    key = new_key(FOLDER)
    await resources.blobs.put(key, pile.content)
    digest = sha256(pile.content).hexdigest()
    received = ReceivedFile(key, "", MEDIA_TYPE, len(pile.content), digest, pile.lines)
    return replace(pile, content=None, received=received)
