"""Penstock as its clients see it: over HTTP, with a key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from api.cli.configuration import admin_key_file, load_settings, read_admin_key, service_url
from api.cli.errors import FAILED, MISUSED, CommandError, first_line

FINAL = {"completed", "failed", "cancelled", "expired"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
WAIT_S = 30
PATIENCE_S = 120.0
"""For this long a request that may be repeated is repeated, when the service is busy or away."""
PAUSE_S = 1.0
NOT_NOW = {408, 409, 429}
"""What is refused with these may be right, at another time."""

Job = dict[str, Any]


class RefusedError(CommandError):
    """The service said no: its own words, with the code and the field that it named."""

    def __init__(self, message: str, *, status: int, code: str, param: str | None) -> None:
        is_misuse = 400 <= status < 500 and status not in NOT_NOW  # noqa: PLR2004  what HTTP calls the client's fault
        super().__init__(message, exit_code=MISUSED if is_misuse else FAILED)
        self.status = status
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job as it was when it was handed in; `replayed` if an earlier run had handed it in."""

    job: Job
    replayed: bool


class Client:
    """One client of a running service; use it in an `async with`."""

    def __init__(
        self, url: str, key: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Raises CommandError for a URL or a key that cannot be one."""
        try:
            address = httpx.URL(url)
            self._http = httpx.AsyncClient(
                base_url=address,
                headers={"Authorization": f"Bearer {key}"},
                timeout=httpx.Timeout(WAIT_S + 60, connect=10),
                limits=httpx.Limits(max_connections=None),
                # A proxy that the environment names knows nothing of this machine.
                trust_env=address.host not in LOOPBACK,
                transport=transport,
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise CommandError(
                f"The URL {url} or the key cannot be used: {first_line(error)}.",
                exit_code=MISUSED,
            ) from error
        self._url = url

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, **rest: Any) -> dict[str, Any]:
        """Make one request, once, and return the JSON of its answer.

        Raises:
            CommandError: nothing answers there, or the service says no.
        """
        try:
            response = await self._http.request(method, path, **rest)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self.no_answer(error) from error
        return _read(response)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Open a response that goes on, once.

        Raises:
            RefusedError: the service says no.
            TransportError: the connection broke.
        """
        async with self._http.stream("GET", path, headers=dict(headers)) as response:
            if not response.is_success:
                await response.aread()
                _read(response)
            yield response

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        """Read something, patiently."""
        return _read(await self._patiently(lambda: self._http.get(path, params=params)))

    async def lines(self, path: str, **params: Any) -> list[bytes]:
        """Read lines of JSON, patiently; none is cut short."""
        response = await self._patiently(lambda: self._http.get(path, params=params))
        if not response.is_success:
            _read(response)
        return [line for line in response.content.split(b"\n") if line]

    async def post(self, path: str, body: object, *, idempotency_key: str) -> dict[str, Any]:
        """Ask for something, patiently: repeated, it happens once."""
        headers = {"Idempotency-Key": idempotency_key}

        async def send() -> httpx.Response:
            return await self._http.post(path, json=body, headers=headers)

        return _read(await self._patiently(send))

    async def upload(
        self, file: Path, *, name: str, purpose: str, life_s: int | None = None
    ) -> str:
        """Stream a file into the service and return its id.

        Raises:
            CommandError: it cannot be read, or is refused.
        """
        fields = {"purpose": purpose}
        if life_s is not None:
            fields |= {
                "expires_after[anchor]": "created_at",
                "expires_after[seconds]": str(life_s),
            }

        async def send() -> httpx.Response:
            with file.open("rb") as content:
                return await self._http.post(
                    "/v1/files", data=fields, files={"file": (name, content)}
                )

        return str(_read(await self._patiently(send))["id"])

    async def submit_document(
        self, file: Path, fields: Mapping[str, str], *, idempotency_key: str
    ) -> Submitted:
        """Upload a document as a job of its own; safe to repeat with the same key."""

        async def send() -> httpx.Response:
            with file.open("rb") as content:
                return await self._http.post(
                    "/v1/documents",
                    files={"file": (file.name, content)},
                    data=dict(fields),
                    headers={"Idempotency-Key": idempotency_key},
                )

        response = await self._patiently(send)
        return Submitted(_read(response), "idempotent-replayed" in response.headers)

    async def wait(self, job_id: str) -> Job:
        """Return the job once it has ended, however long that takes."""

        async def get() -> httpx.Response:
            return await self._http.get(f"/v1/jobs/{job_id}", params={"wait": WAIT_S})

        while True:
            job = _read(await self._patiently(get))
            if job["status"] in FINAL:
                return job

    async def retry(self, job_id: str) -> Job:
        """Open a new generation of a job that failed."""
        return await self.call("POST", f"/v1/jobs/{job_id}/retry")

    async def _patiently(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        deadline = monotonic() + PATIENCE_S
        while True:
            try:
                response = await send()
            except httpx.TransportError as error:
                if monotonic() > deadline:
                    raise self.no_answer(error) from error
                await asyncio.sleep(PAUSE_S)
                continue
            pause_s = _retry_after_s(response)
            if pause_s is None or monotonic() + pause_s > deadline:
                return response
            await asyncio.sleep(pause_s)

    def no_answer(self, error: BaseException) -> CommandError:
        """Return what is to be said when the connection broke."""
        return CommandError(
            f"Nothing answers at {self._url}: start Penstock with `penstock up`, or name it with"
            f" --url ({first_line(error)})."
        )


def connect(url: str | None, key: str | None) -> Client:
    """Return a client of the service that the options, or else the settings, name.

    Raises:
        CommandError: no key is to be found.
    """
    settings = load_settings()
    key = key or read_admin_key(settings)
    if not key:
        raise CommandError(
            "There is no key: name one with --key or PENSTOCK_KEY"
            f" ({admin_key_file(settings)}, where `penstock up` stores one, is not there).",
            exit_code=MISUSED,
        )
    return Client(url or service_url(settings), key)


def ask(method: str, path: str, *, url: str | None, key: str | None, **rest: Any) -> dict[str, Any]:
    """Make one request to the service that the options name.

    Raises:
        CommandError: nothing answers there, or the service says no.
    """

    async def once() -> dict[str, Any]:
        async with connect(url, key) as client:
            return await client.call(method, path, **rest)

    return asyncio.run(once())


def _retry_after_s(response: httpx.Response) -> float | None:
    """Return when to ask again, None if the answer stands."""
    if response.status_code not in {409, 429, 503}:
        return None
    said = response.headers.get("retry-after", "")
    return max(PAUSE_S, float(said)) if said.isdecimal() else None


def _read(response: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if response.is_success and isinstance(body, dict):
        return body
    said: Mapping[str, Any] = body if isinstance(body, dict) else {}
    detail = said.get("detail") or f"HTTP {response.status_code} without a word of Penstock's."
    error = said.get("error") or {}
    raise RefusedError(
        str(detail),
        status=response.status_code,
        code=str(said.get("code", "")),
        param=error.get("param"),
    )
