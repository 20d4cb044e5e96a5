"""Wake-ups are sent by name: every name must be declared by the workers, and nothing else."""

from dramatiq.brokers.stub import StubBroker

from shared.enqueue import ActorName, QueueName
from shared.settings import Settings
from workers import jobs, webhooks
from workers.process import WorkerProcess


def test_workers_declare_what_may_be_named() -> None:
    broker = StubBroker(middleware=[])
    process = WorkerProcess(Settings())
    jobs.declare(broker, process)
    webhooks.declare(broker, process)

    assert broker.get_declared_actors() == set(ActorName)
    # The stub lists its own delay queues beside them.
    queues = {name for name in broker.get_declared_queues() if not name.endswith(".DQ")}
    assert queues == set(QueueName)
