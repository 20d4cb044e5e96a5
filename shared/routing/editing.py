"""Deployments and routes by the API: each change is held against the whole before it is stored."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.clock import now_ms
from shared.database import Database
from shared.errors import BadRequest, Conflict, NotFound
from shared.routing import store
from shared.routing.catalog import contents_of, refuse_unknown_classifiers
from shared.routing.file import Rows
from shared.routing.merging import Merged, Stored
from shared.routing.problem import ConfigError, Problem
from shared.routing.rows import DeploymentRow, RouteRow
from shared.routing.sealing import KeyBox, KeysUnreadable, Secrets
from shared.routing.stored_model import StoredDeployment, StoredRoute
from shared.routing.watch import CatalogWatch

SECRET = {"keys", "headers"}
ENV = "env:"


class Editor:
    """What an operator does to the stored part of the configuration.

    Names that stand in the file cannot be touched. Every method raises `Conflict` for those.
    """

    def __init__(self, database: Database, watch: CatalogWatch, secret_key: bytes) -> None:
        self._database = database
        self._watch = watch
        self._box = KeyBox(secret_key)

    async def put_deployment(self, name: str, asked: Mapping[str, Any], *, new: bool) -> bool:
        """Store a deployment; return whether there was none. Keys and headers not given are kept.

        Raises:
            ValidationError, BadRequest: it cannot be as it was asked for.
            Conflict: it is `new`, and there is one of this name.
        """
        self._refuse_files(name, "deployment", name in self._watch.file.deployments)
        async with self._database.transaction() as db:
            await store.begin_change(db)
            before = await _stored(db)
            old = _of_name(before.deployments, name)
            if new and old is not None:
                detail = f"There is a deployment named {name}: change it with PUT."
                raise Conflict(detail, code="deployment_exists", param="name")
            row = DeploymentRow.model_validate({**self._kept(old, asked), **asked, "name": name})
            _refuse_variables(row)
            _refuse_strange_address(row, old, asked)
            self._check(before, Rows([row]))
            sealed = self._box.seal(name, Secrets(row.keys, row.headers))
            written = row.model_dump(mode="json", exclude={"name", *SECRET}, exclude_defaults=True)
            await store.put(db, StoredDeployment, {**_row(name, written), "sealed": sealed})
            await self._refuse_breach(db, before)
        await self._watch.look(file=False)
        return old is None

    async def put_route(self, name: str, asked: Mapping[str, Any], *, new: bool) -> bool:
        """Store a route; return whether there was none.

        Raises:
            ValidationError, BadRequest: it cannot be as it was asked for.
            Conflict: it is `new`, and there is one of this name.
        """
        self._refuse_files(name, "route", name in self._watch.file.routes)
        async with self._database.transaction() as db:
            await store.begin_change(db)
            before = await _stored(db)
            old = _of_name(before.routes, name)
            if new and old is not None:
                detail = f"There is a route for the model {name}: change it with PUT."
                raise Conflict(detail, code="route_exists", param="model")
            row = RouteRow.model_validate({**asked, "model": name})
            self._check(before, Rows(routes=[row]))
            written = row.model_dump(mode="json", exclude={"model"}, exclude_defaults=True)
            await store.put(db, StoredRoute, _row(name, written))
            await self._refuse_breach(db, before)
        await self._watch.look(file=False)
        return old is None

    async def remove_deployment(self, name: str) -> None:
        """Delete a deployment; calls under way are finished.

        Raises:
            NotFound: there is none.
            Conflict: a route names it.
        """
        self._refuse_files(name, "deployment", name in self._watch.file.deployments)
        async with self._database.transaction() as db:
            await store.begin_change(db)
            before = await _stored(db)
            if _of_name(before.deployments, name) is None:
                raise no_deployment(name)
            await store.remove(db, StoredDeployment, name)
            if breach := self._breach(before, await _stored(db)):
                detail = f"The deployment {name} is in use: {breach}. Change the route first."
                raise Conflict(detail, code="deployment_in_use")
        await self._watch.look(file=False)

    async def remove_route(self, name: str) -> None:
        """Delete a route; its jobs are told so when their turn comes.

        Raises:
            NotFound: there is none.
            Conflict: another route asks it how hard a request is.
        """
        self._refuse_files(name, "route", name in self._watch.file.routes)
        async with self._database.transaction() as db:
            await store.begin_change(db)
            before = await _stored(db)
            if _of_name(before.routes, name) is None:
                raise no_route(name)
            await store.remove(db, StoredRoute, name)
            if breach := self._breach(before, await _stored(db)):
                detail = f"The route {name} is in use: {breach}. Change that one first."
                raise Conflict(detail, code="route_in_use")
        await self._watch.look(file=False)

    def _kept(self, old: RowMapping | None, asked: Mapping[str, Any]) -> dict[str, Any]:
        if old is None or set(asked) >= SECRET:
            return {}
        try:
            secrets = self._box.open(old["name"], old["sealed"])
        except KeysUnreadable as error:
            if "keys" in asked:
                return {}
            raise BadRequest(f"`keys` is missing: {error}.", param="keys") from error
        return {"keys": list(secrets.keys), "headers": dict(secrets.headers)}

    def _merge(self, stored: Stored) -> Merged:
        return self._watch.merge(stored)

    def _check(self, before: Stored, rows: Rows) -> None:
        """Hold new rows against the whole, so that what is wrong is told by its field."""
        try:
            whole = contents_of(rows, others=self._merge(before).contents)
            refuse_unknown_classifiers(rows, whole)
        except ConfigError as error:
            field = (error.problem.field or "").split(".", 2)[-1]
            raise BadRequest(f"{error.problem.message}.", param=field or None) from error

    async def _refuse_breach(self, db: AsyncConnection, before: Stored) -> None:
        if breach := self._breach(before, await _stored(db)):
            raise BadRequest(f"The whole could not be used any more: {breach}.")

    def _breach(self, before: Stored, after: Stored) -> Problem | None:
        """Return what a change has broken, if anything: not what was so before."""
        known = set(_problems(self._merge(before)))
        return next((each for each in _problems(self._merge(after)) if each not in known), None)

    def _refuse_files(self, name: str, what: str, is_in_file: bool) -> None:
        if is_in_file:
            detail = f"The {what} {name} stands in the configuration file: change it there."
            raise Conflict(detail, code="defined_in_file")


def _problems(merged: Merged) -> list[Problem]:
    """List what is wrong with the whole, and which classifiers are nobody's name."""
    contents = merged.contents
    names = {*contents.deployments, *contents.routes}
    rules = {name: route.difficulty for name, route in contents.routes.items()}
    lost = [
        Problem(f"the route {name} asks {rule.classifier}, which is not configured")
        for name, rule in rules.items()
        if rule and rule.classifier and "/" not in rule.classifier and rule.classifier not in names
    ]
    return [*merged.problems, *lost]


def no_deployment(name: str) -> NotFound:
    """Return the error that there is no such deployment."""
    return NotFound(f"There is no deployment named {name}.", code="deployment_not_found")


def no_route(name: str) -> NotFound:
    """Return the error that there is no such route."""
    detail = f"There is no route for the model {name}."
    return NotFound(detail, code="route_not_found")


def _refuse_variables(row: DeploymentRow) -> None:
    # Or an administrator's key would read out the environment of the server.
    for field, values in (("keys", row.keys), ("headers", row.headers.values())):
        if any(value.startswith(ENV) for value in values):
            detail = f"`{field}` may name environment variables in the file only: give the value."
            raise BadRequest(detail, param=field)


def _refuse_strange_address(
    row: DeploymentRow, old: RowMapping | None, asked: Mapping[str, Any]
) -> None:
    # Or keys that nobody can read any more would be sent to whoever is named now.
    if old is None or (row.base_url, row.provider) == _address(old["written"]):
        return
    for field, secret in (("keys", any(row.keys)), ("headers", bool(row.headers))):
        if secret and field not in asked:
            detail = f"`{field}` is missing: another provider or address is not given the old ones."
            raise BadRequest(detail, param=field, code="missing_field")


def _address(written: Mapping[str, Any]) -> tuple[Any, Any]:
    return written.get("base_url"), written["provider"]


async def _stored(db: AsyncConnection) -> Stored:
    return Stored(await store.every(db, StoredDeployment), await store.every(db, StoredRoute))


def _of_name(rows: Any, name: str) -> RowMapping | None:
    return next((row for row in rows if row["name"] == name), None)


def _row(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    now = now_ms()
    return {"name": name, "written": dict(written), "created_at": now, "updated_at": now}
