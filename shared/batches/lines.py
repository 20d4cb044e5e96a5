"""A line of a batch: a request in an envelope, checked as if it had come on its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from pydantic import JsonValue, ValidationError

from shared.auth.standings import COMMON, Standing
from shared.batches.envelope import Envelope, Flaw, read_envelope
from shared.batches.options import BatchOptions
from shared.batches.seen import Seen
from shared.documents.schema import SchemaError, check_schema
from shared.errors import NotFound, Unprocessable
from shared.jobs.bodies import BODIES, DocumentBody
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import DEFAULT_OUTPUT_TOKENS, lane_of, refuse_what_never_fits, ways_of
from shared.jobs.transitions import Priority
from shared.limiter.buckets import Cost
from shared.limiter.estimate import estimate
from shared.routing.catalog import Catalog
from shared.routing.facts import Facts
from shared.routing.model import Route, Target
from shared.routing.select import NothingFits, fitting_deployments
from shared.settings import Settings

MOST_REMEMBERED = 10_000
"""Of what is worked out once for many lines, so many different ones are kept."""
MOST_MODELS = 1000
"""Every model is a lane of its own for the dispatcher, and some vendors' can be named anyhow."""
MOST_TOKENS = 2**62
"""What a column holds: nobody has so many, but anybody can write them as `max_tokens`."""


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line, or (`line` None) with all of them.

    `param` names the field, None when it is the line as a whole.
    """

    line: int | None
    code: str
    message: str
    param: str | None = None

    def public(self) -> dict[str, JsonValue]:
        """Return it as one of OpenAI's `errors.data`."""
        return {
            "code": self.code,
            "line": self.line,
            "message": self.message,
            "param": self.param,
        }


class Line(NamedTuple):
    """A request that can become a job; `body` is JSON, `file_id` the document that it is about."""

    number: int
    custom_id: str
    endpoint: Endpoint
    model: str
    body: bytes
    tokens: int
    lane: str
    priority: Priority
    max_attempts: int
    tags: dict[str, str]
    webhook: dict[str, JsonValue] | None
    file_id: str | None


@dataclass(frozen=True, slots=True)
class _Way:
    """Where the lines of a model go; `limited` when a request could be too large for it.

    `choosy`: that depends on each request.
    """

    route: Route
    targets: tuple[Target, ...]
    limited: bool
    choosy: bool


class LineChecker:
    """Checks the lines of one batch in their order, and remembers their custom ids.

    `seen` are the custom ids of earlier lines, `standing` is their tenant's. Lines that are read `again`, because they were
    found right, are not compared with each other, nor are their bodies looked into. While it is
    not `counting`, tokens are only guessed where there is a limit of them. Where the options have a `task`, a line is `{"custom_id", "file_id"}` and not a request.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: Settings,
        options: BatchOptions,
        *,
        seen: Seen | None = None,
        again: bool = False,
        standing: Standing = COMMON,
    ) -> None:
        self._standing = standing
        self._version = catalog.version
        self._catalog = catalog
        self._settings = settings
        self._options = options
        self.counting = True
        self._again = again
        self._seen = Seen() if seen is None else seen
        self._ways: dict[str, _Way | Flaw] = {}
        self._served: set[str] = set()
        self._schemas: dict[bytes, Flaw | None] = {}

    def check(self, raw: bytes, number: int) -> Line | LineError:
        """Read a line; `number` is its place in the file, beginning with 1."""
        try:
            return self._check(raw, number)
        except Flaw as flaw:
            return LineError(number, flaw.code, flaw.message, flaw.param)

    def _check(self, raw: bytes, number: int) -> Line:
        if len(raw) > self._settings.max_body_bytes:
            raise too_long(self._settings)
        envelope = read_envelope(raw, self._options, self._settings)
        try:
            line = self._line(envelope, number)
        except (orjson.JSONEncodeError, RecursionError) as error:
            message = "`body` is nested too deeply to be sent: at most 250 levels."
            raise Flaw("invalid_request", message, "body") from error
        # Last: a line that is wrong keeps no other from its name.
        if not self._again and not self._seen.add(line.custom_id):
            message = (
                f"The custom_id `{line.custom_id}` is used by an earlier line: give each line"
                " its own, it tells the results apart."
            )
            raise Flaw("duplicate_custom_id", message, "custom_id")
        return line

    def _line(self, envelope: Envelope, number: int) -> Line:
        body = envelope.body
        model = str(body["model"]) if self._again else self._model(envelope.endpoint, body)
        way = self._way(model)
        ways, tokens = way.targets, 0
        if self.counting or way.limited or way.choosy:
            cost = estimate(
                body,
                default_output_tokens=DEFAULT_OUTPUT_TOKENS,
                operation=envelope.endpoint.operation,
            )
            tokens = min(cost.input_tokens + cost.output_tokens, MOST_TOKENS)
            ways = self._ways_of(way, envelope, cost) if way.choosy else ways
            if way.limited:
                _refuse_too_large(model, ways, cost)
        return Line(
            number=number,
            custom_id=envelope.custom_id,
            endpoint=envelope.endpoint,
            model=model,
            body=orjson.dumps(body),
            tokens=tokens,
            lane=ways[0].lane_key,
            priority=envelope.priority,
            max_attempts=envelope.max_attempts,
            tags=envelope.tags,
            webhook=envelope.webhook,
            file_id=str(body["file_id"]) if envelope.endpoint is Endpoint.DOCUMENTS else None,
        )

    def _ways_of(self, way: _Way, envelope: Envelope, cost: Cost) -> tuple[Target, ...]:
        tokens, standing = cost.input_tokens, self._standing
        try:
            return ways_of(
                way.route, envelope.endpoint, envelope.body, input_tokens=tokens, standing=standing
            )
        except NothingFits as error:
            if self._again:
                # It was found right and is counted: the worker that takes it says what changed.
                return way.targets
            raise Flaw(error.code, error.detail, "body.model") from error

    def _model(self, endpoint: Endpoint, body: Mapping[str, Any]) -> str:
        try:
            checked = BODIES[endpoint].model_validate(body)
        except ValidationError as error:
            raise _invalid_body(error) from error
        if isinstance(checked, DocumentBody):
            self._check_schema(checked.json_schema)
        elif body.get("stream"):
            message = "`body.stream` must be false or absent: the answer to a line comes whole."
            raise Flaw("invalid_request", message, "body.stream")
        return checked.model

    def _way(self, model: str) -> _Way:
        if self._version != self._catalog.version:
            self._version = self._catalog.version
            self._ways.clear()
        way = self._ways.get(model)
        if way is None:
            _make_room(self._ways)
            way = self._ways[model] = self._find_way(model)
            if isinstance(way, _Way):
                self._served.add(model)
        if isinstance(way, Flaw):
            raise way.again()
        return way

    def _find_way(self, model: str) -> _Way | Flaw:
        try:
            route = self._catalog.resolve(model)
        except NotFound as error:
            return Flaw("model_not_found", error.detail, "body.model")
        if len(self._served) >= MOST_MODELS and model not in self._served:
            message = (
                f"The lines name more than {MOST_MODELS} models: make several batches of them."
            )
            return Flaw("too_many_models", message, "body.model")
        facts = Facts(regions=self._standing.regions, tier=self._standing.tier)
        try:
            fitting = fitting_deployments(route, facts)
        except NothingFits as error:
            return Flaw(error.code, error.detail, "body.model")
        every = tuple(target for each in fitting for target in route.pools[each.name])
        limited = all(lane_of(target).buckets for target in every)
        return _Way(route, every, limited, route.is_choosy)

    def _check_schema(self, schema: dict[str, JsonValue]) -> None:
        key = orjson.dumps(schema)
        if key not in self._schemas:
            _make_room(self._schemas)
            self._schemas[key] = _schema_flaw(schema)
        if flaw := self._schemas[key]:
            raise flaw.again()


def _refuse_too_large(model: str, ways: Sequence[Target], cost: Cost) -> None:
    try:
        refuse_what_never_fits(model, ways, cost)
    except Unprocessable as error:
        raise Flaw(error.code, error.detail, error.param) from error


def too_long(settings: Settings) -> Flaw:
    """Return what is wrong with a line that is larger than any request may be."""
    message = (
        f"The line is longer than {settings.max_body_bytes} bytes, the most that a request may"
        " have: shorten it."
    )
    return Flaw("line_too_long", message)


def _schema_flaw(schema: dict[str, JsonValue]) -> Flaw | None:
    try:
        check_schema(schema)
    except SchemaError as error:
        return Flaw("invalid_schema", f"`body.schema` cannot be used: {error}", "body.schema")
    return None


def _invalid_body(error: ValidationError) -> Flaw:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(map(str, ("body", *first["loc"])))
    if first["type"] == "missing":
        return Flaw("missing_required_parameter", f"`{path}` is missing: add it.", path)
    words = first["msg"].removeprefix("Value error, ")
    return Flaw("invalid_request", f"`{path}` is wrong: {words[:1].lower()}{words[1:]}.", path)


def _make_room(memory: dict[Any, Any]) -> None:
    if len(memory) >= MOST_REMEMBERED:
        memory.clear()
