"""The actor: hand a slice of ids to the runner, which claims and drives it; then the message is done."""

from collections.abc import Sequence

import dramatiq
from pydantic import JsonValue

from shared.enqueue import ActorName, QueueName, Wakeup
from shared.failpoints import failpoint
from shared.jobs.transitions import Priority
from workers.process import WorkerProcess


def declare(broker: dramatiq.Broker, process: WorkerProcess) -> None:
    """Declare the queues and the one actor that serves them all."""
    for queue in QueueName:
        broker.declare_queue(queue)

    def run_jobs(ids: Sequence[str], queue: str, *, suspect: bool = False) -> None:
        if not process.take(ids, Priority(queue), suspect=suspect):
            kwargs: dict[str, JsonValue] = {"ids": list(ids), "queue": queue, "suspect": suspect}
            process.pass_on(Wakeup(ActorName.RUN_JOBS, QueueName(queue), kwargs))
        failpoint("before_ack")

    dramatiq.actor(actor_name=ActorName.RUN_JOBS, queue_name=QueueName.STANDARD, broker=broker)(
        run_jobs
    )
