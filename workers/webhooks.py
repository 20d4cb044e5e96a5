"""The actor of webhooks: a message says for which targets something may be due."""

from collections.abc import Sequence

import dramatiq

from shared.enqueue import ActorName, QueueName
from workers.process import WorkerProcess


def declare(broker: dramatiq.Broker, process: WorkerProcess) -> None:
    """Declare the actor; its queue is declared with the others."""

    def deliver_webhooks(targets: Sequence[str]) -> None:
        # What is not taken now is found in the database: a message is a wake-up.
        process.deliver(targets)

    dramatiq.actor(
        actor_name=ActorName.DELIVER_WEBHOOKS, queue_name=QueueName.WEBHOOKS, broker=broker
    )(deliver_webhooks)
