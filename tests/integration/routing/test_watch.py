"""The catalog follows the file and the tables; what is wrong is told, and what was there goes on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.database import Database
from shared.errors import BadRequest, NotFound
from shared.routing.catalog import Catalog, catalog_of
from shared.routing.editing import Editor
from shared.routing.file import digest_of, read_file
from shared.routing.watch import CatalogWatch
from shared.tables import metadata

SECRET = b"a key of the server"
FILE = '[[deployments]]\nname = "a"\nprovider = "sandbox"\nmodel = "echo"\n'
ROUTE = '\n[[routes]]\nmodel = "m"\ndeployments = ["a"]\n'


@dataclass
class Process:
    """What one process has of the configuration."""

    path: Path
    catalog: Catalog
    watch: CatalogWatch
    editor: Editor

    async def write(self, text: str) -> None:
        """Change the file, and have it looked at."""
        self.path.write_text(text)
        await self.watch.look(stored=False)

    @property
    def told(self) -> list[str]:
        """What is wrong with what was found last."""
        return [str(each) for each in self.catalog.status.problems]

    def serves(self, name: str) -> bool:
        """Tell whether a name is known."""
        try:
            self.catalog.resolve(name)
        except NotFound:
            return False
        return True


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.transaction() as db:
        await db.run_sync(metadata.create_all)
    yield opened
    await opened.close()


def process(path: Path, database: Database, secret: bytes = SECRET) -> Process:
    catalog = catalog_of(read_file(path), {})
    watch = CatalogWatch(catalog, database, path=path, secret_key=secret, settles_s=0)
    return Process(path, catalog, watch, Editor(database, watch, secret))


@pytest.fixture
async def one(tmp_path: Path, database: Database) -> Process:
    path = tmp_path / "penstock.toml"
    path.write_text(FILE)
    made = process(path, database)
    await made.watch.look()
    return made


def row(**changes: Any) -> dict[str, Any]:
    return {"provider": "sandbox", "model": "echo", "keys": ["a key of some length"], **changes}


async def test_a_change_of_the_file_is_taken_as_a_whole(one: Process) -> None:
    held = one.catalog.resolve("a")

    await one.write(FILE + ROUTE)
    assert one.serves("m")
    version = one.catalog.version

    await one.write(FILE.replace('"a"', '"b"'))
    assert (one.serves("a"), one.serves("m"), one.serves("b")) == (False, False, True)
    assert one.catalog.version > version
    # Who had it goes on with it.
    assert held.targets[0].deployment.name == "a"


async def test_a_bad_file_is_told_by_its_line_and_the_old_one_stays(one: Process) -> None:
    await one.write(FILE + "rpm = 0\n")
    assert one.told == ["line 5: deployments.0.rpm: it should be greater than 0"]
    assert one.serves("a")

    await one.write(FILE + "rpm = \n")
    assert one.told == ["line 5: not valid TOML: Invalid value"]
    assert one.serves("a")
    assert one.catalog.status.digest == digest_of(FILE)

    await one.editor.put_deployment("own", row(), new=True)
    assert one.told == ["line 5: not valid TOML: Invalid value"]
    assert one.serves("own")

    await one.write(FILE + "rpm = 5\n")
    assert one.told == []
    assert one.catalog.resolve("a").deployments[0].rpm == 5


async def test_the_good_file_put_back_is_good_again(one: Process) -> None:
    await one.write("nonsense")
    assert one.told

    await one.write(FILE)

    assert one.told == []
    assert one.serves("a")


async def test_a_file_that_goes_away_takes_nothing_with_it(one: Process) -> None:
    one.path.unlink()
    await one.watch.look(stored=False)

    assert one.serves("a")
    assert "is gone" in one.told[0]


async def test_a_file_that_cannot_be_read_is_told(one: Process) -> None:
    one.path.write_bytes(b"\xff\xfe nothing")
    await one.watch.look(stored=False)

    assert one.serves("a")
    assert "UTF-8" in one.told[0]


async def test_a_half_written_file_is_not_taken(one: Process, monkeypatch: Any) -> None:
    texts = iter(["", FILE + ROUTE])
    monkeypatch.setattr("shared.routing.watch.read_file", lambda _path: next(texts))

    await one.watch.look(stored=False)

    assert one.serves("a")
    assert one.told == []


async def test_what_one_process_stores_another_one_finds(one: Process, database: Database) -> None:
    other = process(one.path, database)
    await other.watch.look()

    await one.editor.put_deployment("own", row(), new=True)
    await one.editor.put_route("n", {"deployments": ["own", "a"]}, new=True)
    assert not other.serves("own")
    await other.watch.look(file=False)

    assert [each.name for each in other.catalog.resolve("n").deployments] == ["own", "a"]
    assert other.catalog.resolve("own").targets[0].api_key == "a key of some length"
    assert other.catalog.status.revision == 2


async def test_a_file_that_breaks_what_is_stored_is_refused(one: Process) -> None:
    await one.editor.put_route("n", {"deployments": ["a"]}, new=True)

    await one.write(FILE.replace('"a"', '"b"'))

    assert one.told == [
        "route n (stored): the route n names the deployment a, which is not configured"
    ]
    assert (one.serves("a"), one.serves("n"), one.serves("b")) == (True, True, False)


async def test_a_process_that_starts_then_uses_what_can_be_used(
    one: Process, database: Database
) -> None:
    await one.editor.put_route("n", {"deployments": ["a"]}, new=True)
    await one.editor.put_deployment("own", row(), new=True)
    one.path.write_text(FILE.replace('"a"', '"b"'))

    late = process(one.path, database)
    await late.watch.look()

    assert (late.serves("b"), late.serves("own"), late.serves("n")) == (True, True, False)
    assert "names the deployment a" in late.told[0]


async def test_keys_that_do_not_open_are_told(one: Process, database: Database) -> None:
    await one.editor.put_deployment("own", row(), new=True)

    stranger = process(one.path, database, b"another key")
    await stranger.watch.look()

    assert not stranger.serves("own")
    assert "deployment own (stored): its stored keys do not open" in stranger.told[0]


async def test_sealed_keys_are_of_one_deployment_alone(one: Process, database: Database) -> None:
    await one.editor.put_deployment("own", row(), new=True)
    async with database.transaction() as db:
        await db.exec_driver_sql(
            "INSERT INTO deployment (name, written, sealed, created_at, updated_at)"
            " SELECT 'thief', written, sealed, 1, 1 FROM deployment"
        )

    late = process(one.path, database)
    await late.watch.look()

    assert (late.serves("own"), late.serves("thief")) == (True, False)


async def test_a_name_that_comes_into_the_file_goes_before_the_stored_one(one: Process) -> None:
    await one.editor.put_deployment("b", row(model="stored"), new=True)

    await one.write(FILE + FILE.replace('"a"', '"b"'))

    assert one.catalog.resolve("b").deployments[0].model == "echo"
    assert one.told == []


async def test_a_database_that_is_away_hinders_no_file(tmp_path: Path) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text(FILE)
    away = Database("postgresql+asyncpg://nobody:x@127.0.0.1:1/none")
    alone = process(path, away)

    await alone.watch.start()
    await alone.write(FILE + ROUTE)
    await alone.watch.close()
    await away.close()

    assert alone.serves("m")


async def test_who_misses_a_name_has_it_looked_for(one: Process, database: Database) -> None:
    other = process(one.path, database)
    await other.watch.start()
    await one.editor.put_deployment("own", row(), new=True)

    await other.watch.look_again()

    assert other.serves("own")
    await other.watch.close()


async def test_what_was_wrong_before_holds_back_no_change(one: Process, database: Database) -> None:
    await one.editor.put_deployment("own", row(), new=True)
    stranger = process(one.path, database, b"another key")
    await stranger.watch.look()

    await stranger.write(FILE + ROUTE)
    await stranger.editor.put_deployment("new", row(), new=True)

    assert (stranger.serves("m"), stranger.serves("new")) == (True, True)
    assert "do not open" in stranger.told[0], "and it is told all the same"


async def test_an_emptied_file_takes_nothing_with_it(one: Process) -> None:
    await one.write("")
    assert one.serves("a")
    assert "is empty" in one.told[0]

    await one.write("# nothing any more")
    assert not one.serves("a")


@pytest.mark.parametrize("field", ["keys", "headers"])
@pytest.mark.parametrize("changes", [{"base_url": "https://elsewhere.test"}, {"provider": "groq"}])
async def test_another_address_is_not_given_the_old_secrets(
    one: Process, field: str, changes: dict[str, str]
) -> None:
    asked = {"provider": "openai", "model": "gpt", "keys": ["sk-old"], "headers": {"X-A": "old"}}
    await one.editor.put_deployment("own", asked, new=True)
    other = {**asked, **changes}

    with pytest.raises(BadRequest, match=f"`{field}` is missing"):
        await one.editor.put_deployment(
            "own", {name: other[name] for name in other if name != field}, new=False
        )

    await one.editor.put_deployment("own", other, new=False)
