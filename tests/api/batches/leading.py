"""What the leader does with the batches of an application, and time that is over."""

from sqlalchemy import select, update
from sqlmodel import col

from shared.batches.model import Batch
from shared.clock import now_ms
from shared.jobs.model import Job
from tests.api.whole_app import WholeApp
from tests.integration.batches.yard import a_yard
from workers.batches.turns import Turns


async def read(app: WholeApp) -> None:
    """Do what the leader does with new batches."""
    turns = Turns(app.resources)
    while await turns.perform():
        pass


async def lead(app: WholeApp) -> None:
    """Do what the leader does with batches that run."""
    async with a_yard(app.resources, app.tenant_id) as yard:
        await yard.lead()


async def let_time_pass(app: WholeApp) -> None:
    """Let the time of every batch be over, and the leader do what there is to do about it."""
    past = {"complete_by": now_ms() - 1}
    async with app.resources.database.transaction() as db:
        await db.execute(update(Batch).values(**past))
        await db.execute(update(Job).where(col(Job.batch_id).is_not(None)).values(**past))
    async with a_yard(app.resources, app.tenant_id) as yard:
        await yard.desk.expire()
        await yard.lead()


async def jobs(app: WholeApp) -> dict[str, str]:
    """Return the jobs by their custom ids."""
    async with app.resources.database.reading() as db:
        rows = (await db.execute(select(col(Job.id), col(Job.custom_id)))).all()
    return {row.custom_id: row.id for row in rows}
