"""What is said of a batch that has ended."""

from typing import Any

import httpx
import pytest

from api.cli.batch_watch import watch
from api.cli.client import Client
from api.cli.errors import FAILED


def ended(status: str, *, completed: int, invalid: int, errors: list[Any]) -> dict[str, Any]:
    return {
        "id": "batch_1",
        "status": status,
        "errors": {"object": "list", "data": errors} if errors else None,
        "request_counts": {"total": completed, "completed": completed, "failed": 0},
        "counts": {"invalid": invalid},
        "cost_usd": "0.5",
    }


async def said_of(batch: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    nobody = httpx.MockTransport(lambda _: httpx.Response(500))
    async with Client("http://127.0.0.1:1", "pk_x", transport=nobody) as client:
        return await watch(client, batch), capsys.readouterr().out


async def test_of_many_wrong_lines_the_first_are_named_and_all_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    errors = [{"line": n + 1, "message": f"wrong {n}"} for n in range(1000)]

    code, said = await said_of(ended("failed", completed=0, invalid=900_000, errors=errors), capsys)

    assert code == FAILED
    *shown, more, last = said.splitlines()
    assert shown == [f"line {n + 1}: wrong {n}" for n in range(10)]
    assert more == "… and 899,990 more"
    assert last.startswith(
        "batch_1 is failed: 0 of 0 lines completed, 0 did not, 900,000 were wrong"
    )


async def test_of_a_batch_without_a_fault_nothing_more_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = await said_of(ended("completed", completed=3, invalid=0, errors=[]), capsys)

    assert (code, said) == (0, "batch_1 is completed: 3 of 3 lines completed, 0 did not, $0.5\n")
