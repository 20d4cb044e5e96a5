"""What hangs in one child holds up nobody: neither a pretender nor a real document."""

import asyncio

from shared.documents.extract import ErrorCode, ExtractionError, Extractor
from shared.documents.extraction import Limits
from tests.integration.documents.actors import COMMAND, read, until_children


async def test_documents_that_hang_do_not_hold_up_the_others() -> None:
    extractor = Extractor(children=2, slow_s=0.2, command=COMMAND)
    hanging = [asyncio.create_task(read(extractor, "hang")) for _ in range(2)]
    await until_children(extractor, 2)

    async with asyncio.timeout(10):
        found = [await read(extractor, f"number {number}") for number in range(50)]

    assert [each.text for each in found] == [f"number {number}" for number in range(50)]
    assert not any(task.done() for task in hanging)
    assert len(extractor.pids()) <= 4
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    await extractor.aclose()


async def test_however_many_hang_there_is_a_bound_to_the_children() -> None:
    limits = Limits(timeout_s=2.0)
    extractor = Extractor(limits=limits, children=1, slow_s=0.1, command=COMMAND)
    hanging = [asyncio.create_task(read(extractor, "hang")) for _ in range(4)]
    good = asyncio.create_task(read(extractor, "good"))
    most = 0
    while not good.done():
        most = max(most, len(extractor.pids()))
        await asyncio.sleep(0.02)

    assert most == 2
    assert (await good).text == "good"
    outcomes = await asyncio.gather(*hanging, return_exceptions=True)
    codes = [each.code for each in outcomes if isinstance(each, ExtractionError)]
    assert codes == [ErrorCode.TIMEOUT] * 4
    await extractor.aclose()
