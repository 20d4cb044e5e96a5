"""Reading a document with a model: at once, or in chunks whose answers are put together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import orjson
from pydantic import JsonValue

from shared.documents import long_prompt, provenance
from shared.documents.extraction import PageImage
from shared.documents.merging import Answer, Merged, merge, origins_in, settled
from shared.documents.partial_schema import partial as partial_schema
from shared.documents.provenance import Pages, Provenance
from shared.documents.schema import problems
from shared.inference.dialect import Operation
from shared.inference.response import InferenceResponse
from workers.attempt.check import Checked
from workers.attempt.hold import Hold
from workers.attempt.parts import OK, Parts
from workers.attempt.prepare import Document, Work
from workers.attempt.several import Ask, all_of
from workers.resources import WorkerResources

MENDED = "The model's answer was not valid JSON; its form was mended."
SHORT_CHARS = 20_000
"""Up to this the search for values takes less time than the way to another thread."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a document: its data, and how it was come by."""

    data: JsonValue
    provenance: Provenance
    mended: bool
    repaired: bool


async def document(
    hold: Hold, work: Work, of: Document, resources: WorkerResources
) -> InferenceResponse:
    """Return the result that the client gets, in place of chat completions.

    Raises:
        Unworkable: the model's answers do not fit the schema.
        MustWait, ClaimLost, CallFailed: as from `call`.
    """
    parts = await Parts.of(hold, resources)
    if of.chunks:
        read = await _LongDocument(hold, of, parts, resources).read()
    else:
        read = await _at_once(work, of, parts)
    # What is there is paid for: a shutdown lets it be kept.
    hold.answered = True
    return InferenceResponse(OK, orjson.dumps(_result(hold, of, read)), None)


async def _at_once(work: Work, of: Document, parts: Parts) -> Read:
    checked = await parts.ask(0, work, of.schema, keep=False)
    found = await _computed(of, lambda: provenance.of_pages(checked.value, _pages(of)))
    return Read(checked.value, found, checked.mended, checked.repaired)


class _LongDocument:
    """Asks for each chunk, then for what they disagree on, then, if need be, for a correction."""

    def __init__(
        self, hold: Hold, document: Document, parts: Parts, resources: WorkerResources
    ) -> None:
        self._model = hold.job.model
        self._document = document
        self._parts = parts
        self._at_once = resources.settings.document_calls_at_once

    async def read(self) -> Read:
        chunks, schema = self._document.chunks, self._document.schema
        checked = await all_of(self._asks(), at_once=self._at_once)
        answers: list[Answer] = [
            (chunk.number, each.value) for chunk, each in zip(chunks, checked, strict=True)
        ]
        merged = await _computed(self._document, lambda: merge(answers, schema))
        if merged.conflicts:
            checked.append(await self._settle(merged))
            merged = settled(merged, long_prompt.chosen(merged.conflicts, checked[-1].value))
        value, origins = merged.value, merged.origins
        wrong = await _computed(self._document, lambda: problems(schema, value))
        if wrong:
            checked.append(await self._mend(value, wrong))
            value = checked[-1].value
            origins = origins_in(value, merged)
        found = await _computed(
            self._document,
            lambda: provenance.of_chunks(value, origins, chunks, _pages(self._document)),
        )
        repaired = bool(wrong) or any(each.repaired for each in checked)
        return Read(value, found, any(each.mended for each in checked), repaired)

    def _asks(self) -> Sequence[Ask[Checked]]:
        schema = partial_schema(self._document.schema)
        return [
            partial(self._ask_chunk, number, schema) for number in range(len(self._document.chunks))
        ]

    async def _ask_chunk(self, index: int, schema: dict[str, JsonValue]) -> Checked:
        of, chunk = self._document, self._document.chunks[index]
        body = long_prompt.chunk_body(
            model=self._model,
            chunk=chunk,
            of=len(of.chunks),
            text=of.extraction.text,
            filename=of.filename,
            instructions=of.instructions,
            schema=schema,
            images=_images_of(of, index),
        )
        what = f" for part {chunk.number} of {len(of.chunks)}{long_prompt.place(chunk)}"
        return await self._parts.ask(index, Work(Operation.GENERATE, body), schema, what=what)

    async def _settle(self, merged: Merged) -> Checked:
        of = self._document
        body = long_prompt.settle_body(
            model=self._model,
            instructions=of.instructions,
            schema=of.schema,
            conflicts=merged.conflicts,
            chunks=of.chunks,
        )
        schema = long_prompt.settle_schema(of.schema, merged.conflicts)
        what = " on what the parts of the document disagree on"
        step = len(of.chunks)
        return await self._parts.ask(step, Work(Operation.GENERATE, body), schema, what=what)

    async def _mend(self, value: JsonValue, wrong: Sequence[str]) -> Checked:
        of = self._document
        body = long_prompt.mend_body(
            model=self._model, value=value, problems=wrong, schema=of.schema
        )
        step = len(of.chunks) + 1
        what = ", put together from the parts of the document,"
        return await self._parts.ask(step, Work(Operation.GENERATE, body), of.schema, what=what)


def _result(hold: Hold, of: Document, read: Read) -> dict[str, JsonValue]:
    extraction = of.extraction
    warnings: list[JsonValue] = list(extraction.warnings)
    if read.mended:
        warnings.append(MENDED)
    return {
        "object": "document.result",
        "data": read.data,
        "provenance": read.provenance,
        "document": {
            "filename": of.filename,
            "mime_type": extraction.mime_type,
            "pages": extraction.pages,
            "text_chars": len(extraction.text),
            "chunks": len(of.chunks) or 1,
            "images": len(extraction.images),
            "warnings": warnings,
        },
        "model": hold.job.model,
        "repaired": read.repaired,
    }


def _images_of(of: Document, index: int) -> list[PageImage]:
    """Return the pictures that go along with a chunk: of its pages, and of those without text before."""
    lasts = [chunk.pages[-1] if chunk.pages else 0 for chunk in of.chunks]
    after = lasts[index - 1] if index else 0
    until = lasts[index] if index + 1 < len(lasts) else max(lasts[index], after, *_shown(of))
    return [image for image in of.extraction.images if after < image.page <= until]


def _shown(of: Document) -> list[int]:
    return [0, *(image.page for image in of.extraction.images)]


def _pages(of: Document) -> Pages:
    return Pages.of(of.extraction.text, of.extraction.page_starts)


async def _computed(of: Document, compute: Callable[[], T]) -> T:
    """Compute what takes long for a long text beside the loop."""
    if len(of.extraction.text) <= SHORT_CHARS:
        return compute()
    return await asyncio.to_thread(compute)
