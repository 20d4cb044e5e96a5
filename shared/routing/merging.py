"""The file's deployments and routes, and those that came by the API, as one whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy import RowMapping

from shared.routing.catalog import Contents, Published, contents_of
from shared.routing.file import Rows, words_of
from shared.routing.problem import ConfigError, Problem
from shared.routing.rows import DeploymentRow, RouteRow
from shared.routing.sealing import KeyBox, KeysUnreadable, Secrets


@dataclass(frozen=True, slots=True)
class Merged:
    """The whole as far as it can be used, and what of the stored objects cannot be."""

    contents: Contents
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of the two tables."""

    deployments: Sequence[RowMapping | Mapping[str, Any]] = ()
    routes: Sequence[RowMapping | Mapping[str, Any]] = ()


def merge(file: Contents, stored: Stored, box: KeyBox, published: Published) -> Merged:
    """Add what is stored to what the file says; a name of the file's goes before."""
    whole, problems = file, list[Problem]()
    for rows in _one_by_one(file, stored, box, problems):
        try:
            whole = contents_of(rows, others=whole, published=published)
        except ConfigError as error:
            problems.append(_named(error.problem, rows))
    return Merged(whole, tuple(problems))


def deployment_row(row: RowMapping | Mapping[str, Any], given: Secrets) -> DeploymentRow:
    """Return a stored deployment as it was written, with its secrets."""
    asked = {**row["written"], "name": row["name"]}
    return DeploymentRow(**asked, keys=list(given.keys), headers=dict(given.headers))


def route_row(row: RowMapping | Mapping[str, Any]) -> RouteRow:
    """Return a stored route as it was written."""
    return RouteRow(**{**row["written"], "model": row["name"]})


def _one_by_one(
    file: Contents, stored: Stored, box: KeyBox, problems: list[Problem]
) -> Iterator[Rows]:
    for row in stored.deployments:
        name = row["name"]
        if name in file.deployments:
            continue
        try:
            yield Rows([deployment_row(row, box.open(name, row["sealed"]))])
        except (KeysUnreadable, ValidationError) as error:
            problems.append(Problem(_words(error), f"deployment {name} (stored)"))
    for row in stored.routes:
        if row["name"] in file.routes:
            continue
        try:
            yield Rows(routes=[route_row(row)])
        except ValidationError as error:
            problems.append(Problem(_words(error), f"route {row['name']} (stored)"))


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {words_of(first['type'], first['msg'])}"
    return str(error)


def _named(problem: Problem, rows: Rows) -> Problem:
    what = [f"deployment {each.name}" for each in rows.deployments]
    what += [f"route {each.model}" for each in rows.routes]
    return replace(problem, field=f"{what[0]} (stored)", line=None)
