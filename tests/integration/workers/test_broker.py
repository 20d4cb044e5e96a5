"""The gated consumer: whoever leaves a full hand wakes it, whenever its acknowledgement began."""

import threading
from collections.abc import Iterator

import pytest
from dramatiq import Message, MessageProxy

from shared.enqueue import QueueName
from workers.broker import PREFETCH, GatedBroker

QUEUE = QueueName.BULK


class Open:
    """A gate that lets everything in."""

    def open_for(self, _queue: str) -> bool:
        """Say yes."""
        return True


@pytest.fixture
def broker(redis_url: str) -> Iterator[GatedBroker]:
    broker = GatedBroker(redis_url, gate=Open(), middleware=[])
    broker.declare_queue(QUEUE)
    yield broker
    broker.flush_all()
    broker.close()


def put(broker: GatedBroker, count: int) -> None:
    for number in range(count):
        broker.enqueue(
            Message(queue_name=QUEUE, actor_name="run", args=(number,), kwargs={}, options={})
        )


def test_an_acknowledgement_that_began_before_the_hand_was_full_wakes_the_consumer(
    broker: GatedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(broker, PREFETCH - 1)
    consumer = broker.consume(QUEUE)
    taken = [next(consumer) for _ in range(PREFETCH - 1)]
    first = taken[0]
    assert isinstance(first, MessageProxy)
    begun, go_on, acknowledge = threading.Event(), threading.Event(), broker.do_ack

    def slowly(*args: object) -> None:
        begun.set()
        assert go_on.wait(10)
        acknowledge(*args)

    monkeypatch.setattr(broker, "do_ack", slowly)
    leaving = threading.Thread(target=consumer.ack, args=(first,))
    leaving.start()
    assert begun.wait(10)
    put(broker, 2)
    assert next(consumer) is not None, "the hand is full now"
    rung = broker.doorbell.rung(QUEUE)
    monkeypatch.setattr(broker.doorbell, "wait", lambda *_args, **_kwargs: None)

    assert next(consumer) is None
    go_on.set()
    leaving.join()

    assert broker.doorbell.rung(QUEUE) == rung + 1
    assert next(consumer) is not None
    consumer.close()
