"""What a batch asks for all its lines: kept in its row as JSON."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from shared.jobs.bodies import DocumentTask
from shared.jobs.draft import OnUnknown
from shared.jobs.endpoints import Endpoint
from shared.jobs.transitions import Priority


class OnInvalid(StrEnum):
    """What becomes of a batch with lines that cannot be done: it fails, or goes on without them."""

    REJECT = "reject"
    SKIP = "skip"


class BatchOptions(BaseModel):
    """What holds for every line that does not say otherwise.

    `endpoint` None: each line names its own. `task` is what is asked of each document, where the
    input is files and not requests. `copied_from` are the files whose lines were copied, in other
    words, into the batch's own; `label` is a name that only its maker's protocol has a place for.
    """

    model_config = ConfigDict(extra="forbid")

    endpoint: Endpoint | None = None
    priority: Priority = Priority.BULK
    max_attempts: int = 5
    on_unknown: OnUnknown = OnUnknown.RETRY
    on_invalid: OnInvalid = OnInvalid.REJECT
    coalesce: bool = False
    task: DocumentTask | None = None
    copied_from: list[str] = []
    label: str | None = None
