"""Every table, in one import: what the migrations compare themselves with."""

from sqlmodel import SQLModel

from shared.auth import model as auth
from shared.files import model as files
from shared.jobs import model as jobs
from shared.outbox import OutboxMessage
from shared.processes import model as processes

__all__ = ["OutboxMessage", "auth", "files", "jobs", "metadata", "processes"]

metadata = SQLModel.metadata
