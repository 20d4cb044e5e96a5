"""What an answer's headers tell beside it: what the provider was not told, and whether it answered at all."""

import re
from collections.abc import Iterable

from shared.jobs.reader import FullJob
from shared.jobs.transitions import AttemptStatus, Reason

MOST_CHARS = 1000
_UNFIT = re.compile(r"[^A-Za-z0-9_.\-\[\]<>=]")


def aside(full: FullJob) -> dict[str, str]:
    """Return `Penstock-Dropped` (keys of the request, with commas) and `Penstock-Default-Answer`."""
    headers = {}
    if full.job["reason"] == Reason.DEFAULT_ANSWER:
        headers["Penstock-Default-Answer"] = "true"
    answered = [each for each in full.attempts if each["status"] == AttemptStatus.OK]
    dropped = answered[-1]["dropped"] if answered else None
    return headers | dropped_header(dropped or ())


def dropped_header(dropped: Iterable[object]) -> dict[str, str]:
    """Return `Penstock-Dropped` alone, nothing where nothing was dropped."""
    # Keys of a client's own making may hold what no header may.
    names = [_UNFIT.sub("?", str(name)) for name in dropped]
    return {"Penstock-Dropped": ", ".join(names)[:MOST_CHARS]} if names else {}
