"""Following the operator: the file and the stored objects, as they change, into the catalog of a process."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import structlog

from shared.clock import now_ms
from shared.database import Database
from shared.endings import end
from shared.routing import store
from shared.routing.catalog import Catalog, Contents, Published, Status, contents_of
from shared.routing.file import digest_of, parse, read_file
from shared.routing.merging import Merged, Stored, merge
from shared.routing.problem import ConfigError, Problem
from shared.routing.sealing import KeyBox
from shared.routing.stored_model import StoredDeployment, StoredRoute

log = structlog.get_logger()

FILE_EVERY_S = 1.0
STORED_EVERY_S = 2.0
SETTLES_S = 0.2
"""A file that was changed is read twice, so long apart: an editor may be in the middle of it."""
AGAIN_S = 0.5
"""Who misses a name has the file and the tables looked at, but no more often than this."""


@dataclass(slots=True)
class _Seen:
    """What was found last: the digest of the file, the revision of the tables, and what they say.

    `wrong` is what is wrong with the file, of which `file` is then an earlier state.
    """

    digest: str
    file: Contents
    wrong: tuple[Problem, ...] = ()
    revision: int = -1
    stored: Stored = field(default_factory=Stored)


class CatalogWatch:
    """One per process; without `start` the catalog stays as it is.

    A configuration is taken as a whole or not at all: what is wrong is logged and shown in the
    catalog's `status`, and what was there before goes on.
    """

    def __init__(
        self,
        catalog: Catalog,
        database: Database,
        *,
        path: Path,
        secret_key: bytes,
        published: Published = lambda _provider, _model: None,
        settles_s: float = SETTLES_S,
    ) -> None:
        self._catalog = catalog
        self._database = database
        self._path = path
        self._box = KeyBox(secret_key)
        self._published = published
        self._settles_s = settles_s
        self._seen = _Seen(catalog.status.digest, catalog.contents)
        self._lock, self._turn = asyncio.Lock(), asyncio.Lock()
        # What of the stored objects could not be used when the contents were taken: no news.
        self._borne: frozenset[Problem] = frozenset()
        self._looked_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    @property
    def file(self) -> Contents:
        """What the file says; its names cannot be changed elsewhere."""
        return self._seen.file

    @property
    def stored(self) -> Stored:
        """What the tables say."""
        return self._seen.stored

    def merge(self, stored: Stored) -> Merged:
        """Return the whole that would be, were this stored."""
        return merge(self._seen.file, stored, self._box, self._published)

    async def start(self) -> None:
        """Take what is stored, as far as the database can be reached, and begin to follow."""
        await self._look_calmly(file=False, stored=True)
        self._task = asyncio.create_task(self._follow(), name="catalog-watch")

    async def close(self) -> None:
        """Stop following."""
        await end(self._task)

    async def look(self, *, file: bool = True, stored: bool = True) -> None:
        """Look for a change now, and take it if it is right."""
        async with self._lock:
            if file and stored:
                self._looked_at = monotonic()
            seen = self._seen
            if file:
                seen = await self._read_file(seen)
            if stored:
                seen = await self._read_stored(seen)
            if seen is not self._seen:
                self._take(seen)

    async def look_again(self) -> None:
        """Look once more for who misses a name: one look for all who ask at the same time."""
        asked = monotonic()
        async with self._turn:
            if self._task is None or self._looked_at >= asked:
                return
            await asyncio.sleep(max(0.0, self._looked_at + AGAIN_S - monotonic()))
            await self._look_calmly(file=True, stored=True)

    async def _follow(self) -> None:
        stored_at = monotonic()
        while True:
            await asyncio.sleep(FILE_EVERY_S)
            stored = monotonic() - stored_at >= STORED_EVERY_S
            if stored:
                stored_at = monotonic()
            await self._look_calmly(file=True, stored=stored)

    async def _look_calmly(self, *, file: bool, stored: bool) -> None:
        try:
            await self.look(file=file, stored=stored)
        except Exception as error:  # noqa: BLE001  whatever it is, the next look may do better
            log.warning("config.not_read", error=f"{type(error).__name__}: {error}"[:500])

    async def _read_file(self, seen: _Seen) -> _Seen:
        try:
            text = await asyncio.to_thread(read_file, self._path)
            if (digest := digest_of(text)) == seen.digest:
                return seen
            await asyncio.sleep(self._settles_s)
            if await asyncio.to_thread(read_file, self._path) != text:
                return seen
        except (ConfigError, OSError) as error:
            problem = error.problem if isinstance(error, ConfigError) else Problem(str(error))
            return _refused(seen, "", problem)
        is_there = self._path.exists()
        # Whoever writes a file empties it first, and may take long over it.
        if not text and (seen.file.deployments or not is_there):
            state = "empty" if is_there else "gone"
            return _refused(seen, digest, Problem(f"the file {self._path} is {state}"))
        try:
            file = contents_of(parse(text), published=self._published)
        except ConfigError as error:
            return _refused(seen, digest, error.problem)
        return replace(seen, digest=digest, file=file, wrong=())

    async def _read_stored(self, seen: _Seen) -> _Seen:
        async with self._database.looking() as db:
            # First its number: what is changed meanwhile has a higher one, and is read again.
            revision = await store.revision(db)
            if revision == seen.revision:
                return seen
            deployments = await store.every(db, StoredDeployment)
            routes = await store.every(db, StoredRoute)
        return replace(seen, revision=revision, stored=Stored(deployments, routes))

    def _take(self, seen: _Seen) -> None:
        before, self._seen = self._seen, seen
        merged = self.merge(seen.stored)
        problems = (*seen.wrong, *merged.problems)
        is_same = seen.file is before.file and seen.stored is before.stored
        # At first there is nothing older that could go on: then all is used that can be.
        is_worse = not self._borne.issuperset(merged.problems)
        if before.revision >= 0 and (is_same or is_worse):
            self._catalog.status = replace(self._catalog.status, problems=problems)
        else:
            self._borne = frozenset(merged.problems)
            self._catalog.replace(merged.contents)
            self._catalog.status = Status(
                revision=max(0, seen.revision),
                digest=self._catalog.status.digest if seen.wrong else seen.digest,
                loaded_at=now_ms(),
                problems=problems,
            )
        self._tell(seen)

    def _tell(self, seen: _Seen) -> None:
        status, contents = self._catalog.status, self._catalog.contents
        if status.problems:
            problems = [str(each) for each in status.problems]
            log.error("config.refused", file=str(self._path), problems=problems)
            return
        log.info(
            "config.loaded",
            revision=seen.revision,
            deployments=len(contents.deployments),
            routes=len(contents.routes),
        )


def _refused(seen: _Seen, digest: str, problem: Problem) -> _Seen:
    if seen.wrong == (problem,) and seen.digest == digest:
        return seen
    return replace(seen, digest=digest, wrong=(problem,))
