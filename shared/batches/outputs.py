"""How the files are called that come of a batch, and those that came in an archive; pure."""

from hashlib import sha256

from shared.batches.results_store import Which
from shared.ids import file_id_of

OUTPUT_PURPOSE = "batch_output"
WRITTEN = (Which.OUTPUT, Which.ERROR)


def output_name(batch_id: str, which: Which) -> str:
    """Return the filename of a batch's output or error file."""
    return f"{batch_id}_{which}.jsonl"


def unpacked_file_id(batch_id: str, made_at: int, number: int, entry: int) -> str:
    """Return the id of the file that an entry of a batch's archive becomes: always the same.

    `made_at` is when the batch was made, `number` that of its input; entries count from 1.
    """
    return file_id_of(made_at, sha256(f"{batch_id}.{number}.{entry}".encode()).digest())
