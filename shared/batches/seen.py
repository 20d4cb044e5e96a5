"""Which names have been used: exact enough for a million of them, and in little memory."""

from array import array

SHARDS = 256
FIRST_SLOTS = 32
_MASK = (1 << 64) - 1


class Seen:
    """A set of texts that keeps eight bytes of each.

    A set of a million Python strings takes 100 MB, this one 16 MB at the most. Two different
    texts are taken for one with a chance of 1 : 10⁷ among a million. It grows in 256 pieces, so
    that no growing takes long.
    """

    def __init__(self) -> None:
        self._tables = [array("Q", bytes(8 * FIRST_SLOTS)) for _ in range(SHARDS)]
        self._counts = [0] * SHARDS

    def __len__(self) -> int:
        return sum(self._counts)

    def add(self, text: str) -> bool:
        """Remember a text; False when it was there already."""
        # Zero marks a free slot.
        digest = hash(text) & _MASK or 1
        shard = digest % SHARDS
        table = self._tables[shard]
        if not _put(table, digest):
            return False
        self._counts[shard] += 1
        if self._counts[shard] * 2 > len(table):
            self._grow(shard)
        return True

    def _grow(self, shard: int) -> None:
        larger = array("Q", bytes(16 * len(self._tables[shard])))
        for digest in self._tables[shard]:
            if digest:
                _put(larger, digest)
        self._tables[shard] = larger


def _put(table: "array[int]", digest: int) -> bool:
    last = len(table) - 1
    slot = digest // SHARDS & last
    while found := table[slot]:
        if found == digest:
            return False
        slot = (slot + 1) & last
    table[slot] = digest
    return True
