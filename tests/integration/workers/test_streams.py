"""What a stream says while it runs, and what is billed of one that does not come to its end."""

import asyncio
import base64
import struct
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pytest
from typing_extensions import override

from shared.database import Row
from shared.events.deltas import Delta, DeltaLog
from shared.jobs.endpoints import Endpoint
from shared.jobs.lanes import lane_of
from shared.jobs.transitions import JobState, Priority, Reason
from shared.limiter.limiter import Limiter
from shared.limiter.tokens import TokenCounter
from shared.routing.model import targets
from tests.fakes.upstream_client import rule
from tests.integration.workers.conftest import INPUT_NANOUSD, OUTPUT_NANOUSD, Bench, until
from workers.attempt.deltas import DeltaWriter
from workers.attempt.hold import Stop
from workers.runner import Runner

LONG = "a long answer, please: " * 20


async def deltas_of(bench: Bench, job_id: str) -> list[Delta]:
    return await DeltaLog(bench.resources.shared.redis).after(job_id, 0, 0)


def chunks_of(deltas: list[Delta]) -> list[dict[str, Any]]:
    return [chunk for delta in deltas for chunk in orjson.loads(delta.chunks)]


def text_of(deltas: list[Delta]) -> str:
    choices = [choice for chunk in chunks_of(deltas) for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def says_something(bench: Bench, job_id: str) -> bool:
    return bool(text_of(await deltas_of(bench, job_id)))


async def is_answered(bench: Bench, text: str) -> bool:
    return any(call.get("event") == "answered" for call in bench.upstream.calls(marker=text))


async def ends(bench: Bench, job_id: str) -> bool:
    return bool((await bench.run(job_id))["state"] != JobState.QUEUED)


def check_bill(row: Row) -> None:
    assert row["possibly_billed"]
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 0
    wanted = row["input_tokens"] * INPUT_NANOUSD + row["output_tokens"] * OUTPUT_NANOUSD
    assert row["cost_nanousd"] == wanted
    assert row["first_token_ms"] is not None


async def test_a_stream_is_told_chunk_by_chunk_and_kept_whole(bench: Bench) -> None:
    bench.upstream.script(rule("ok", chunk_delay_ms=15))
    job_id = await bench.submit(LONG, stream=True)

    job = await bench.run(job_id)

    assert job["state"] == JobState.COMPLETED
    deltas = await deltas_of(bench, job_id)
    assert {delta.version for delta in deltas} == {2}
    assert [delta.number for delta in deltas] == list(range(1, len(deltas) + 1))
    assert [delta.last for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    assert len(deltas) > 3, "some came before the end"
    answer = await bench.result(job_id)
    assert text_of(deltas) == answer["choices"][0]["message"]["content"]
    assert chunks_of(deltas)[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks_of(deltas)[-1]["usage"] == answer["usage"]
    (attempt,) = await bench.attempts(job_id)
    assert attempt["output_tokens"] == answer["usage"]["completion_tokens"]
    assert attempt["first_token_ms"] >= 14, "the role came first"


async def test_what_was_not_asked_to_stream_is_not_told(bench: Bench) -> None:
    job_id = await bench.submit(LONG)

    assert (await bench.run(job_id))["state"] == JobState.COMPLETED
    assert await deltas_of(bench, job_id) == []


async def test_all_is_told_before_the_job_ends(bench: Bench) -> None:
    gate = asyncio.Event()

    class Slow(DeltaLog):
        @override
        async def append(self, deltas: Sequence[Delta]) -> None:
            await gate.wait()
            await super().append(deltas)

    writer = DeltaWriter(Slow(bench.resources.shared.redis))
    writer.start()
    bench.runner = Runner(replace(bench.resources, deltas=writer))
    job_id = await bench.submit("to be told slowly", stream=True)
    await bench.runner.take([job_id], Priority.STANDARD)
    await until(partial(is_answered, bench, "to be told slowly"))
    # Longer than the journal lingers.
    await asyncio.sleep(0.1)
    assert (await bench.job(job_id))["state"] == JobState.RUNNING

    gate.set()
    await bench.idle()

    assert (await bench.job(job_id))["state"] == JobState.COMPLETED
    assert (await deltas_of(bench, job_id))[-1].last
    await writer.close()


@pytest.mark.parametrize("action", ["truncate_sse", "reset"])
async def test_a_stream_cut_by_its_provider_is_billed(bench: Bench, action: str) -> None:
    bench.upstream.script(rule(action, times=1))
    job_id = await bench.submit(LONG, stream=True)

    job = await bench.run(job_id)

    (attempt,) = await bench.attempts(job_id)
    assert attempt["status"] == "unknown"
    check_bill(attempt)
    assert (job["output_tokens"], job["cost_nanousd"]) == (
        attempt["output_tokens"],
        attempt["cost_nanousd"],
    )
    deltas = await deltas_of(bench, job_id)
    assert text_of(deltas)
    assert not any(delta.last for delta in deltas)
    assert TokenCounter().count(text_of(deltas), "m") == attempt["output_tokens"]


async def test_an_error_in_the_middle_of_a_stream_is_billed(bench: Bench) -> None:
    error = {"code": 500, "message": "it broke"}
    bench.upstream.script(rule("error_mid_stream", times=1, error=error))
    job_id = await bench.submit(LONG, stream=True)

    await bench.run(job_id)

    (attempt,) = await bench.attempts(job_id)
    assert (attempt["status"], attempt["http_status"]) == ("error", 500)
    check_bill(attempt)


@pytest.mark.parametrize(
    ("why", "state"), [(Stop.CANCELLED, JobState.CANCELLED), (Stop.DRAIN, JobState.QUEUED)]
)
async def test_a_stream_that_we_close_is_billed(bench: Bench, why: Stop, state: JobState) -> None:
    bench.upstream.script(rule("ok", chunk_delay_ms=20, times=1))
    job_id = await bench.submit(LONG, stream=True)

    await bench.runner.take([job_id], Priority.STANDARD)
    await until(partial(says_something, bench, job_id))
    bench.runner.stop([job_id], why)
    await bench.idle()

    assert (await bench.job(job_id))["state"] == state
    (attempt,) = await bench.attempts(job_id)
    assert attempt["status"] == "interrupted"
    check_bill(attempt)
    deltas = await deltas_of(bench, job_id)
    assert not any(delta.last for delta in deltas)
    # What was said is what is billed: nothing that came is held back.
    assert TokenCounter().count(text_of(deltas), "m") == attempt["output_tokens"]


async def test_a_stream_that_said_nothing_is_not_billed(bench: Bench) -> None:
    bench.upstream.script(rule("reset", at="start", times=1))
    job_id = await bench.submit(LONG, stream=True)

    await bench.run(job_id)

    (attempt,) = await bench.attempts(job_id)
    assert (attempt["status"], attempt["possibly_billed"]) == ("unknown", True)
    assert (attempt["input_tokens"], attempt["cost_nanousd"]) == (None, None)


async def test_what_is_cut_without_streaming_stays_without_a_bill(bench: Bench) -> None:
    bench.upstream.script(rule("reset", times=1))
    job_id = await bench.submit(LONG)

    await bench.run(job_id)

    (attempt,) = await bench.attempts(job_id)
    assert (attempt["status"], attempt["input_tokens"]) == ("unknown", None)


@pytest.mark.parametrize(
    ("action", "options", "kept"),
    [
        ("ok", {}, False),
        ("truncate_sse", {}, True),
        ("error_mid_stream", {"error": {"code": 500, "message": "it broke"}}, True),
    ],
)
async def test_the_limiter_gives_nothing_back_for_a_cut_stream(
    bench: Bench, action: str, options: dict[str, Any], kept: bool
) -> None:
    time_us = 10**15
    limiter = Limiter(bench.resources.shared.redis, clock=lambda: time_us)
    bench.runner = Runner(replace(bench.resources, limiter=limiter))
    (target,) = targets(bench.resources.catalog.resolve("metered"))
    await limiter.headroom(lane_of(target), horizon_s=0)
    time_us += 60_000_000  # an empty bucket is full after a minute
    bench.upstream.script(rule(action, times=1, **options))
    ask = partial(bench.submit, LONG, model="metered", stream=True, max_tokens=40_000)
    await bench.run(await ask())

    after = await bench.run(await ask())

    assert (after["state"] == JobState.QUEUED) == kept
    assert (after["reason"] == Reason.RATE_LIMITED) == kept


async def test_a_stream_that_is_repeated_begins_a_new_claim(bench: Bench) -> None:
    bench.upstream.script(rule("truncate_sse", times=1))
    job_id = await bench.submit(LONG, stream=True, attempts=2)

    waiting = await bench.run(job_id)
    assert waiting["state"] == JobState.QUEUED
    await until(partial(ends, bench, job_id))

    deltas = await deltas_of(bench, job_id)
    first = [delta for delta in deltas if delta.version == 2]
    second = [delta for delta in deltas if delta.version == 4]
    assert first + second == deltas
    assert [delta.number for delta in second] == list(range(1, len(second) + 1))
    assert second[-1].last
    assert text_of(second) == (await bench.result(job_id))["choices"][0]["message"]["content"]


@pytest.mark.parametrize("asked", [None, "float", "base64"])
@pytest.mark.parametrize("obeys", [True, False])
async def test_embeddings_come_in_the_form_asked_for(
    bench: Bench, asked: str | None, obeys: bool
) -> None:
    vector = [0.5, -0.25, 3.0]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    given: object = packed if (asked == "base64") == obeys else vector
    answer = {"object": "list", "data": [{"index": 0, "embedding": given}], "model": "m"}
    bench.upstream.script(rule("status", status=200, body=answer))
    more: dict[str, Any] = {} if asked is None else {"encoding_format": asked}
    job_id = await bench.submit("hello", endpoint=Endpoint.EMBEDDINGS, **more)

    assert (await bench.run(job_id))["state"] == JobState.COMPLETED

    embedding = (await bench.result(job_id))["data"][0]["embedding"]
    assert embedding == (packed if asked == "base64" else vector)


async def test_an_embedding_that_cannot_be_converted_is_no_answer(bench: Bench) -> None:
    answer = {"object": "list", "data": [{"index": 0, "embedding": "???"}], "model": "m"}
    bench.upstream.script(rule("status", status=200, body=answer))
    job_id = await bench.submit("hello", endpoint=Endpoint.EMBEDDINGS)

    assert (await bench.run(job_id))["state"] == JobState.FAILED

    (attempt,) = await bench.attempts(job_id)
    assert attempt["error_code"] == "malformed_response"
