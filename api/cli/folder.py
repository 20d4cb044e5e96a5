"""Many documents, one task, as batches: uploaded once, made once, read once, however often it is cut short."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import orjson

from api.cli.client import FINAL, Client, RefusedError
from api.cli.discovery import Document
from api.cli.documents import REFUSED, Task
from api.cli.errors import MISUSED, CommandError
from api.cli.meter import Meter, Tally, tally_of, together
from api.cli.results import Results, line_of
from api.cli.run_log import MadeBatch, RunLog, Upload
from api.cli.uploading import first_of, has_changed, upload_all

POLL_S = 0.5
PAGE = 500
TRIED_AGAIN = {"failed", "expired", REFUSED}
GONE = "file_not_found"


class Run:
    """One run over some documents, which goes on where the one before it ended."""

    def __init__(
        self, client: Client, log: RunLog, results: Results, task: Task, meter: Meter
    ) -> None:
        self._client = client
        self._log = log
        self._results = results
        self._task = task
        self._meter = meter
        self._tallies: dict[int, Tally] = {}
        self._total = 0

    async def work(
        self, documents: Sequence[Document], *, batch_size: int, retry_failed: bool
    ) -> None:
        """Bring every document to its end, with one line in the results.

        Raises:
            CommandError: the service cannot be used, or refuses the task itself.
        """
        if self._results.size < self._log.at:
            self._log.begin_anew()
        documents = self._named(documents)
        await asyncio.to_thread(self._drop_changed, documents)
        await self._try_again(wanted=retry_failed)
        self._total = len({each.identity for each in documents} | {*self._log.uploads})
        try:
            async with asyncio.TaskGroup() as group:
                for batch in [*self._log.batches.values()]:
                    group.create_task(self._follow(batch))
                for chunk in self._chunks(documents, batch_size):
                    await self._upload(chunk)
                    if file_ids := self._waiting(chunk):
                        batch = self._log.making(file_ids)
                        if len(self._log.batches) == 1:
                            # It tells whether the task is taken: none is asked for before.
                            await self._ensure_made(batch)
                        group.create_task(self._follow(batch))
        except* CommandError as failed:
            raise first_of(failed) from failed

    def _named(self, documents: Sequence[Document]) -> list[Document]:
        """Give each the name of its lines: no two documents share one."""
        taken = {each.name: each.path for each in self._log.uploads.values()}
        named = []
        for document in documents:
            named.append(document.named(taken))
            taken[named[-1].name] = document.identity
        return named

    def _drop_changed(self, documents: Sequence[Document]) -> None:
        known = ((each, self._log.uploads.get(each.identity)) for each in documents)
        changed = [upload for each, upload in known if upload and has_changed(each, upload)]
        if not changed:
            return
        names = {upload.name for upload in changed}
        self._log.rewritten(at=self._results.keep(lambda line: line["file"] not in names))
        for upload in changed:
            self._log.forget(upload.path)

    async def _try_again(self, *, wanted: bool) -> None:
        """Open again what failed; what an earlier run began of it is brought to its end."""
        numbers = self._log.retrying
        if wanted and not numbers:
            batches = [*self._log.batches.values()]
            numbers = [each.number for each in batches if await self._has_failures(each)]
            self._log.retrying_begins(numbers)
        if not wanted and not numbers:
            return
        for batch in [self._log.batches[number] for number in numbers]:
            if await self._has_failures(batch):
                await self._client.call("POST", f"/v1/batches/{batch.id}/retry")
        refused = [*self._log.refused.values()]
        again = [each for each in self._log.uploads.values() if each.batch in numbers]
        names = {each.name for each in (*again, *refused)}
        at = self._results.keep(
            lambda line: line["status"] not in TRIED_AGAIN or line["file"] not in names
        )
        self._log.retried(at=at)
        for upload in refused:
            self._log.forget(upload.path)

    async def _has_failures(self, batch: MadeBatch) -> bool:
        """Tell whether a batch has ended with lines that can be tried again."""
        if batch.id is None:
            return False
        found = await self._client.get(f"/v1/batches/{batch.id}")
        counts = found["counts"]
        return found["status"] in FINAL and counts["failed"] + counts["expired"] > 0

    def _chunks(self, documents: Sequence[Document], size: int) -> Iterator[Sequence[Document]]:
        """Yield the documents that are in no batch yet, so many at a time."""
        left = []
        for document in documents:
            upload = self._log.uploads.get(document.identity)
            if upload is None or (upload.batch is None and upload.file_id is not None):
                left.append(document)
        for start in range(0, len(left), size):
            yield left[start : start + size]

    async def _upload(self, chunk: Sequence[Document]) -> None:
        def on_each() -> None:
            self._show(f"uploading, {len(self._log.uploads):,} there")

        await upload_all(self._client, self._log, self._results, chunk, on_each)

    def _waiting(self, chunk: Sequence[Document]) -> list[str]:
        uploads = (self._log.uploads[each.identity] for each in chunk)
        return [each.file_id for each in uploads if each.file_id is not None]

    async def _follow(self, batch: MadeBatch) -> None:
        await self._ensure_made(batch)
        path = f"/v1/batches/{batch.id}"
        uploads = {each.custom_id: each for each in self._log.of(batch)}
        while True:
            found = await self._client.get(path)
            if found["errors"]:
                raise self._refused(batch, found["errors"]["data"])
            self._tallies[batch.number] = tally_of(found)
            while lines := await self._client.lines(
                f"{path}/results", after=batch.after, limit=PAGE
            ):
                self._take(batch, uploads, lines)
            self._show("documents")
            if found["status"] in FINAL:
                return
            await asyncio.sleep(POLL_S)

    async def _ensure_made(self, batch: MadeBatch) -> None:
        if batch.id is None:
            self._log.made(batch.number, await self._make(batch))

    async def _make(self, batch: MadeBatch) -> str:
        files = [
            {"file_id": each.file_id, "custom_id": each.custom_id} for each in self._log.of(batch)
        ]
        body = {**self._task.asked(), "files": files}
        key = self._log.key(batch.number)
        try:
            made = await self._client.post("/v1/batches", body, idempotency_key=key)
        except RefusedError as error:
            self._void(batch, gone=error.code == GONE)
            raise
        return str(made["id"])

    def _take(
        self, batch: MadeBatch, uploads: Mapping[str, Upload], lines: Sequence[bytes]
    ) -> None:
        rows = [orjson.loads(line) for line in lines]
        pairs = [(uploads[row["custom_id"]], row) for row in rows]
        at = self._results.write(
            line_of(upload, row, model=self._task.model)
            for upload, row in pairs
            if self._log.is_current(upload)
        )
        self._log.read(batch.number, rows[-1]["number"], at=at)

    def _refused(self, batch: MadeBatch, errors: Sequence[dict[str, object]]) -> CommandError:
        self._void(batch, gone=any(each["code"] == GONE for each in errors))
        said = "; ".join(str(each["message"]) for each in errors[:3])
        return CommandError(f"The batch {batch.id} was refused: {said}", exit_code=MISUSED)

    def _void(self, batch: MadeBatch, *, gone: bool) -> None:
        """Leave a batch that was refused; where files are gone, the next run uploads them again."""
        self._log.void(batch.number)
        for upload in self._log.of(batch) if gone else ():
            self._log.forget(upload.path)

    def _show(self, title: str) -> None:
        tally = together(self._tallies.values())
        failed = tally.failed + len(self._log.refused)
        self._meter.show(Tally(self._total, tally.done, failed, tally.cost_usd), title=title)
