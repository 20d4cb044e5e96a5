"""One body for every error, whatever went wrong and whoever reads it."""

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from shared.errors import Conflict, LimitExceeded, NotFound, PenstockError, Unauthenticated
from tests.api.small_app import application, client


class Shape(BaseModel):
    """Something to fail against."""

    count: int


RAISED: dict[str, Exception] = {
    "missing": NotFound("There is no job `job_1`.", param="job_id"),
    "limit": LimitExceeded("Slow down.", retry_after_s=0.2, extra={"limit": 5, "status": 1}),
    "never": LimitExceeded("This can never fit."),
    "soon": Conflict("Being stored.", retry_after_s=1),
    "conflict": Conflict("It has ended.", code="not_cancellable"),
    "stranger": Unauthenticated("No."),
    "teapot": HTTPException(418, "short and stout", {"x-tea": "yes"}),
    "later": HTTPException(501, "not here"),
    "bug": RuntimeError("password=hunter2 at /srv/secret.py"),
    "network": ConnectionRefusedError("10.0.0.7:5432"),
    "lost": FileNotFoundError("/var/blobs/x"),
}


async def fail(request: Request) -> Response:
    raise RAISED[request.path_params["kind"]]


async def validate(_request: Request) -> Response:
    Shape.model_validate({"count": "many"})
    return Response()


async def fine(_request: Request) -> Response:
    structlog.contextvars.bind_contextvars(tenant_id="ten_one")
    return PlainTextResponse("fine")


async def broken_stream(_request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the rest is lost")

    return StreamingResponse(body())


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    routes = [
        Route("/fail/{kind}", fail),
        Route("/validate", validate),
        Route("/fine/{id}", fine, methods=["GET", "PUT"]),
        Route("/healthz", fine),
        Route("/broken", broken_stream),
        Mount("/openai", routes=[Route("/v1/fine/{id}", fine)]),
    ]
    async with client(application(list(routes))) as http:
        yield http


async def test_both_dialects_tell_the_same(http: httpx.AsyncClient) -> None:
    answer = await http.get("/fail/missing", headers={"x-request-id": "mine-1"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json() == {
        "type": "urn:penstock:error:not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no job `job_1`.",
        "instance": "/fail/missing",
        "code": "not_found",
        "request_id": "mine-1",
        "error": {
            "message": "There is no job `job_1`.",
            "type": "invalid_request_error",
            "param": "job_id",
            "code": "not_found",
        },
    }


async def test_a_limit_tells_when_to_come_back_and_its_numbers(http: httpx.AsyncClient) -> None:
    answer = await http.get("/fail/limit")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "x-should-retry" not in answer.headers
    assert answer.json()["limit"] == 5
    assert answer.json()["status"] == 429
    assert answer.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    ("kind", "retry"),
    [("never", False), ("conflict", False), ("later", False), ("soon", True), ("missing", True)],
)
async def test_clients_are_told_where_retrying_is_useless(
    http: httpx.AsyncClient, kind: str, retry: bool
) -> None:
    answer = await http.get(f"/fail/{kind}")

    assert answer.headers.get("x-should-retry") == (None if retry else "false")


async def test_401_says_how_to_authenticate(http: httpx.AsyncClient) -> None:
    answer = await http.get("/fail/stranger")

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"]["type"] == "authentication_error"
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_errors_of_the_framework_look_the_same(http: httpx.AsyncClient) -> None:
    lost, wrong = await http.get("/nowhere"), await http.post("/fine/1")
    tea = await http.get("/fail/teapot")

    assert lost.status_code == 404
    assert "/openapi.json" in lost.json()["error"]["message"]
    assert wrong.status_code == 405
    assert "PUT" in wrong.headers["allow"]
    assert wrong.json()["code"] == "method_not_allowed"
    assert (tea.status_code, tea.headers["x-tea"]) == (418, "yes")
    assert tea.json()["detail"] == "short and stout"


async def test_a_stray_validation_error_is_the_clients(http: httpx.AsyncClient) -> None:
    answer = await http.get("/validate")

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "count"


async def test_500_tells_the_client_an_id_and_the_log_everything(http: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = await http.get("/fail/bug", headers={"x-request-id": "find-me"})

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "find-me"
    assert "find-me" in answer.json()["detail"]
    assert answer.json()["error"]["type"] == "server_error"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    [line] = [each for each in lines if each["event"] == "http.unexpected_error"]
    assert "hunter2" in str(line["exc_info"])


async def test_a_part_that_is_away_is_503_and_a_lost_blob_is_not(http: httpx.AsyncClient) -> None:
    away, lost = await http.get("/fail/network"), await http.get("/fail/lost")

    assert (away.status_code, away.headers["retry-after"]) == (503, "2")
    assert "10.0.0.7" not in away.text
    assert lost.status_code == 500
    assert "/var/blobs" not in lost.text


async def test_a_stream_that_breaks_is_not_ended_as_if_whole(http: httpx.AsyncClient) -> None:
    with pytest.raises(RuntimeError, match="the rest is lost"):
        await http.get("/broken")


@pytest.mark.parametrize("given", ["x" * 129, "two words", "a\tb", ""])
async def test_an_odd_request_id_is_replaced(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.get("/fine/1", headers={"x-request-id": given})

    assert answer.headers["x-request-id"].startswith("req_")


async def test_each_request_is_one_line_with_the_template_of_its_path(
    http: httpx.AsyncClient,
) -> None:
    merge = structlog.contextvars.merge_contextvars
    with structlog.testing.capture_logs(processors=[merge]) as lines:
        await http.get("/fine/secret-id", headers={"x-request-id": "one"})
        await http.get("/openai/v1/fine/2")
        await http.get("/strange/place")
        await http.get("/healthz")
        await http.get("/fail/missing")

    seen = [(each["path"], each["status"], each["log_level"]) for each in lines]
    assert seen == [
        ("/fine/{id}", 200, "info"),
        ("/openai/v1/fine/{id}", 200, "info"),
        (None, 404, "info"),
        ("/healthz", 200, "debug"),
        ("/fail/{kind}", 404, "info"),
    ]
    first, last = lines[0], lines[-1]
    assert (first["method"], first["request_id"], first["tenant_id"]) == ("GET", "one", "ten_one")
    assert first["ms"] >= 0
    assert "tenant_id" not in last, "nothing of one request may colour the next"


def test_the_tree_of_errors_is_answered_whole() -> None:
    for kind in PenstockError.__subclasses__():
        assert 400 <= kind.status < 600
    assert logging.getLogger("starlette").level == logging.NOTSET
