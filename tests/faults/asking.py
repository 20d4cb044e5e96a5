"""Clients that wait for their answers, many at once, and what the oracle shall know of their jobs."""

from collections.abc import Mapping

from tests.faults.client import COMPLETED, Accepted, Reply
from tests.faults.service import Service
from tests.faults.sse import ChatReader


def ask(
    service: Service,
    model: str,
    *,
    ends: frozenset[str] = COMPLETED,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Ask for an answer now, all in one piece."""
    text = service.client.unique_text()
    chat = {"model": model, "messages": [{"role": "user", "content": text}]}
    reply = service.client.call("POST", "/v1/chat/completions", chat, headers=headers)
    _remember(service, reply.headers["penstock-job-id"], model, text, ends=ends)
    return reply


def ask_many(service: Service, number: int, model: str) -> list[Reply]:
    """Ask for answers now, several at once."""
    return service.client.at_once(lambda _: ask(service, model), range(number))


def hear(service: Service, model: str, *, ends: frozenset[str] = COMPLETED) -> ChatReader:
    """Ask for an answer now, in chunks, and hear it to its end."""
    text = service.client.unique_text()
    chat = service.client.chat(text, model=model)
    assert chat.over.wait(25)
    _remember(service, chat.job_id, model, text, ends=ends)
    return chat


def hear_many(service: Service, number: int, model: str) -> list[ChatReader]:
    """Hear several answers at once."""
    return service.client.at_once(lambda _: hear(service, model), range(number))


def _remember(
    service: Service, job_id: str, model: str, text: str, *, ends: frozenset[str]
) -> Accepted:
    reply = Reply(200, {}, {"id": job_id})
    job = service.client.remember(reply, model, text, ends=ends, failures=None)
    job.hears = frozenset()
    return job
