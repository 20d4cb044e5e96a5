"""A dry run: what a batch would be, what it might cost and how long it might take; nothing is stored."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import Response

from api.batches import sources
from api.batches.checking import Findings, Turns
from api.batches.given import Given
from api.batches.request import BatchSubmit
from api.batches.sources import Pile
from shared.batches.archive import Entry, open_archive, read_directory
from shared.batches.line_reader import LineCutter, RawLine
from shared.batches.lines import Line, LineError, too_long
from shared.batches.model import InputKind
from shared.batches.options import BatchOptions, OnInvalid
from shared.batches.reading import BadInput
from shared.errors import BadRequest
from shared.inference.usage import Usage
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS
from shared.jobs.pace import Need, Pace
from shared.jobs.view import usd
from shared.ledger.prices import price_of
from shared.limiter.estimate import estimate
from shared.resources import Resources
from shared.routing.catalog import Catalog
from shared.routing.model import targets
from shared.settings import Settings


@dataclass(slots=True)
class _Share:
    """What the lines of one model come to."""

    lines: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class _Outlook:
    """What was found out; `guessed` is False where nobody knows what the calls will take."""

    findings: Findings = field(default_factory=Findings)
    models: dict[str, _Share] = field(default_factory=dict)
    guessed: bool = True

    def add(self, checked: Line | LineError) -> None:
        """Count a line, with what its call may take."""
        self.findings.add(checked)
        if not isinstance(checked, Line):
            return
        body = orjson.loads(checked.body)
        cost = estimate(
            body,
            default_output_tokens=DEFAULT_OUTPUT_TOKENS,
            operation=checked.endpoint.operation,
        )
        share = self.models.setdefault(checked.model, _Share())
        share.lines += 1
        share.input_tokens += cost.input_tokens
        share.output_tokens += cost.output_tokens
        # Nobody has read the document yet.
        self.guessed = self.guessed and checked.endpoint is not Endpoint.DOCUMENTS


async def of_request(
    request: Request,
    asked: BatchSubmit,
    name: str | None,
    options: BatchOptions,
    *,
    tenant_id: str,
    given: Given,
) -> Response:
    """Answer what the batch of a request with JSON would be."""
    resources: Resources = request.state.resources
    if name is None:
        detail = "There is nothing to try: give `input_file_id`, `requests`, `files` or `archive`."
        raise BadRequest(detail, param="dry_run")
    if name == "requests":
        lines = _lines(given)
        outlook = await _look_through(lines, resources, options, tenant_id)
        return await _answer(request, outlook, options, tenant_id)
    pile = await sources.gather(asked, name, resources, tenant_id)
    return await of_pile(request, pile, options, tenant_id)


async def of_pile(request: Request, pile: Pile, options: BatchOptions, tenant_id: str) -> Response:
    """Answer what the batch of a file or of documents would be."""
    resources: Resources = request.state.resources
    if pile.kind is InputKind.FILES:
        outlook = _documents(options, pile.lines, ())
    elif pile.kind is InputKind.ZIP:
        outlook = await _look_into(pile, resources, options)
    else:
        lines = _cut(pile, resources)
        outlook = await _look_through(lines, resources, options, tenant_id)
    return await _answer(request, outlook, options, tenant_id)


async def _lines(given: Given) -> AsyncIterator[RawLine]:
    number = 0
    async for element in given:
        number += 1
        yield RawLine(number, sources.as_given(element, number), 0)


async def _cut(pile: Pile, resources: Resources) -> AsyncIterator[RawLine]:
    cutter = LineCutter(longest=resources.settings.max_body_bytes)
    if pile.size:
        async for piece in resources.blobs.stream(pile.blob):
            for line in cutter.feed(piece):
                yield line
    for line in cutter.finish():
        yield line


async def _look_through(
    lines: AsyncIterator[RawLine], resources: Resources, options: BatchOptions, tenant_id: str
) -> _Outlook:
    settings = resources.settings
    checker = await sources.checker_of(resources, options, tenant_id)
    outlook, turns = _Outlook(), Turns()
    async for line in lines:
        if line.raw is None:
            flaw = too_long(settings)
            outlook.add(LineError(line.number, flaw.code, flaw.message, flaw.param))
        else:
            outlook.add(checker.check(line.raw, line.number))
        # At once: nobody shall have a gigabyte of them read for nothing.
        found, most = outlook.findings.total, settings.max_batch_lines
        sources.refuse_too_many(found, most, param="input_file_id")
        await turns.breathe()
    return outlook


async def _look_into(pile: Pile, resources: Resources, options: BatchOptions) -> _Outlook:
    try:
        async with resources.blobs.local_path(pile.blob) as path:
            entries = await to_thread(_entries, path, pile.size, resources.settings)
    except BadInput as error:
        outlook = _documents(options, 0, ())
        outlook.findings.invalid += 1
        outlook.findings.errors.append(error.error)
        return outlook
    wrong = [
        LineError(each.number, each.flaw.code, each.flaw.message, each.flaw.param)
        for each in entries
        if each.flaw is not None
    ]
    return _documents(options, len(entries) - len(wrong), wrong)


def _entries(path: Path, size: int, settings: Settings) -> Sequence[Entry]:
    with open_archive(path, settings) as archive:
        return read_directory(archive, size, settings)


def _documents(options: BatchOptions, count: int, wrong: Sequence[LineError]) -> _Outlook:
    outlook = _Outlook(guessed=False)
    outlook.findings.total = count
    for error in wrong:
        outlook.findings.add(error)
    if count and options.task is not None:
        outlook.models[options.task.model] = _Share(lines=count)
    return outlook


async def _answer(
    request: Request, outlook: _Outlook, options: BatchOptions, tenant_id: str
) -> Response:
    found = outlook.findings
    valid = found.total - found.invalid
    skips = options.on_invalid is OnInvalid.SKIP
    pace: Pace = request.state.pace
    shares = outlook.models.values()
    tokens, cost = None, None
    if outlook.guessed:
        tokens = {
            "input": sum(each.input_tokens for each in shares),
            "output": sum(each.output_tokens for each in shares),
        }
        cost = _cost(outlook.models, request.state.resources.catalog)
    body = {
        "object": "batch.dry_run",
        "valid": valid > 0 and (skips or not found.invalid),
        "total": found.total,
        "invalid": found.invalid,
        "errors": [error.public() for error in found.errors],
        "models": {name: share.lines for name, share in outlook.models.items()},
        "estimated_tokens": tokens,
        "estimated_cost_usd": cost,
        "eta_s": await pace.eta_of(tenant_id, _needs(outlook)) if valid else None,
    }
    return Response(orjson.dumps(body), media_type="application/json")


def _needs(outlook: _Outlook) -> dict[str, Need]:
    return {
        model: Need(share.lines, share.input_tokens + share.output_tokens)
        for model, share in outlook.models.items()
    }


def _cost(models: dict[str, _Share], catalog: Catalog) -> dict[str, str | None] | None:
    least, most = 0, 0
    for model, share in models.items():
        # Prices may go by the size of a request: what counts is the middle one.
        asked = _price(catalog, model, share.input_tokens // share.lines, 0)
        whole = _price(
            catalog,
            model,
            share.input_tokens // share.lines,
            share.output_tokens // share.lines,
        )
        if asked is None or whole is None:
            return None
        least += asked * share.lines
        most += whole * share.lines
    return {"min": usd(least), "max": usd(most)}


def _price(catalog: Catalog, model: str, input_tokens: int, output_tokens: int) -> int | None:
    first = targets(catalog.resolve(model))[0].deployment
    usage = Usage(input_tokens, output_tokens)
    return price_of(first.provider, first.model, usage, own=first.price)
