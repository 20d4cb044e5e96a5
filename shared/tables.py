"""Every table, in one import: what the migrations compare themselves with."""

from sqlmodel import SQLModel

from shared.auth import model as auth
from shared.batches import model as batches
from shared.events import model as events
from shared.files import model as files
from shared.jobs import model as jobs
from shared.jobs import part_model as parts
from shared.jobs import purged_model as purged
from shared.outbox import OutboxMessage
from shared.processes import model as processes
from shared.routing import stored_model as routing
from shared.webhooks import model as webhooks

__all__ = [
    "OutboxMessage",
    "auth",
    "batches",
    "events",
    "files",
    "jobs",
    "metadata",
    "parts",
    "processes",
    "purged",
    "routing",
    "webhooks",
]

metadata = SQLModel.metadata
