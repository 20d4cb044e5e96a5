"""What became of the requests of a batch, in their order, told with the batch itself."""

from collections.abc import AsyncIterator

import orjson

from api.gemini.batch_view import TYPE, batch_operation, outcome
from shared.batches.outcomes import Outcomes
from shared.database import Row
from shared.resources import Resources

_LIST, _END = b'{"inlinedResponses":[', b"]}"


def whole_operation(resources: Resources, batch: Row) -> AsyncIterator[bytes]:
    """Return the JSON of an ended batch piece by piece: its answers may be far longer than its requests.

    They stand in it twice, where Google's clients look for them and where its documentation says.
    """
    return _Whole(resources, batch).pieces()


class _Whole:
    def __init__(self, resources: Resources, batch: Row) -> None:
        self._resources = resources
        self._batch = batch

    async def pieces(self) -> AsyncIterator[bytes]:
        told = batch_operation(self._batch)
        metadata = orjson.dumps(told.pop("metadata"))
        head = orjson.dumps(told)[:-1] + b',"metadata":' + metadata[:-1]
        yield head + b',"output":{"inlinedResponses":' + _LIST
        async for piece in self._outcomes():
            yield piece
        typed = orjson.dumps({"@type": TYPE})[:-1]
        yield _END + b'}},"response":' + typed + b',"inlinedResponses":' + _LIST
        async for piece in self._outcomes():
            yield piece
        yield _END + b"}}"

    async def _outcomes(self) -> AsyncIterator[bytes]:
        of, batch = self._resources, self._batch
        outcomes = Outcomes(of.database, of.blobs, batch["id"], outcome, until=batch["outcomes"])
        comma = b""
        async for piece in outcomes.read_in_order():
            # Each element has a comma behind it, which the last one must not have.
            yield comma + piece[:-1]
            comma = b","
