"""Cursors, limits, orders: what a query may say and what a list answers."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.pagination import (
    Page,
    Position,
    cursor,
    find_page,
    list_page,
    moment_of,
    read_page,
    whole_number,
)
from shared.clock import now_ms
from shared.ids import new_id
from tests.api.small_app import application, client

# Three pairs share a moment, so that only the id tells their order.
ROWS = [{"id": f"thing_{number}", "created_at": 1000 + number // 2} for number in range(7)]


def part(page: Page) -> list[dict[str, Any]]:
    """Return what a store returns: one row more than the page shows, if there is one."""

    def key(row: dict[str, Any]) -> Position:
        return (row["created_at"], row["id"])

    rows = sorted(ROWS, key=key, reverse=not page.ascending)
    if page.after is not None:
        mark = page.after
        rows = [row for row in rows if (key(row) > mark if page.ascending else key(row) < mark)]
    return rows[: page.limit + 1]


def listed(page: Page) -> Response:
    rows = part(page)
    shown = [{"id": row["id"]} for row in rows[: page.limit]]
    return Response(orjson.dumps(list_page(rows, shown, page)))


async def by_cursor(request: Request) -> Response:
    return listed(read_page(request, default_limit=3, max_limit=5))


async def by_id(request: Request) -> Response:
    async def find(identifier: str) -> Position | None:
        moments = {row["id"]: row["created_at"] for row in ROWS}
        moment = moments.get(identifier)
        return None if moment is None else (int(str(moment)), identifier)

    return listed(await find_page(request, find))


async def by_timed_id(request: Request) -> Response:
    page = read_page(request, timed_ids=True)
    return Response(orjson.dumps(page.after))


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    routes = [Route("/cursor", by_cursor), Route("/id", by_id), Route("/timed", by_timed_id)]
    async with client(application(list(routes))) as http:
        yield http


async def walk(http: httpx.AsyncClient, path: str, mark: str, **query: Any) -> list[str]:
    seen: list[str] = []
    for _ in range(10):
        page = (await http.get(path, params=query)).json()
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            assert page["next_after"] is None
            return seen
        query["after"] = page[mark]
    pytest.fail("the list never ends")


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.parametrize(("path", "mark"), [("/cursor", "next_after"), ("/id", "last_id")])
async def test_pages_hold_everything_once_in_both_orders(
    http: httpx.AsyncClient, path: str, mark: str, limit: int
) -> None:
    everything = [row["id"] for row in ROWS]

    assert await walk(http, path, mark, limit=limit, order="asc") == everything
    assert await walk(http, path, mark, limit=limit) == everything[::-1]


async def test_a_list_has_openais_shape(http: httpx.AsyncClient) -> None:
    page = (await http.get("/cursor")).json()

    assert page["object"] == "list"
    assert page["has_more"] is True
    assert (page["first_id"], page["last_id"]) == ("thing_6", "thing_4")
    assert [each["id"] for each in page["data"]] == ["thing_6", "thing_5", "thing_4"]
    behind = (await http.get("/cursor", params={"after": cursor(1000, "thing_0")})).json()
    assert behind == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
        "next_after": None,
    }


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ({"limit": "0"}, "limit", "from 1 to 5"),
        ({"limit": "6"}, "limit", "from 1 to 5"),
        ({"limit": "-1"}, "limit", "from 1 to 5"),
        ({"limit": "1" + "0" * 5000}, "limit", "from 1 to 5"),
        ({"limit": "ten"}, "limit", "from 1 to 5"),
        ({"limit": ""}, "limit", "from 1 to 5"),
        ({"order": "up"}, "order", "`asc`"),
        ({"after": ""}, "after", "`next_after`"),
        ({"after": "thing_1"}, "after", "`next_after`"),
        ({"after": "c_zz_thing"}, "after", "`next_after`"),
        ({"after": "c_fffffffffffff1_thing"}, "after", "`next_after`"),
        ({"after": "c_1_thing\x00"}, "after", "`next_after`"),
    ],
)
async def test_a_wrong_query_is_named(
    http: httpx.AsyncClient, query: dict[str, str], param: str, words: str
) -> None:
    answer = await http.get("/cursor", params=query)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert words in answer.json()["detail"]


async def test_an_id_that_is_not_there_is_no_cursor(http: httpx.AsyncClient) -> None:
    for unknown in ("thing_99", "ü", "a\x00b"):
        answer = await http.get("/id", params={"after": unknown})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_an_id_tells_its_own_moment(http: httpx.AsyncClient) -> None:
    before = now_ms()
    identifier = new_id("file").replace("_", "-")

    moment, name = (await http.get("/timed", params={"after": identifier})).json()

    assert before <= moment <= now_ms()
    assert name == identifier
    assert moment_of(new_id("job")) is not None
    for odd in ("file-", "file-" + "z" * 26, "file-" + "0" * 25, "file-" + "0" * 27, "0" * 26):
        assert moment_of(odd) is None


def test_whole_numbers_are_plain_digits() -> None:
    assert [whole_number(text, most=100) for text in ("0", "7", "100")] == [0, 7, 100]
    for odd in ("", "101", "-1", "+1", "1.0", "1e1", " 1", "٣", "0000"):
        assert whole_number(odd, most=100) is None
