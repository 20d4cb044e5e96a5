"""One call in two dialects: what the provider is asked in its own, what the client is told in its own."""

from dataclasses import dataclass, replace

import orjson

from shared.dialects.bridge import Bridge, StreamBridge, spoken
from shared.dialects.counting import counted
from shared.dialects.embedding import EmbeddingBridge, spoken_for_embeddings
from shared.dialects.translator import Head, Unreadable, Unsupported
from shared.inference.dialect import Operation
from shared.inference.request import InferenceRequest
from shared.inference.response import InferenceResponse
from shared.jobs.claims import ClaimedJob
from shared.limiter.tokens import TokenCounter
from shared.providers.base import Provider
from shared.providers.errors import BadRequest, CannotDo
from shared.providers.failures import malformed
from shared.routing.model import Target
from workers.attempt.prepare import Work

OK = 200


@dataclass(frozen=True, slots=True)
class Asking:
    """What is sent, and how what comes back is told; `dropped` names what was left out on the way."""

    work: Work
    request: InferenceRequest
    provider: str
    head: Head
    bridge: Bridge | EmbeddingBridge
    dropped: tuple[str, ...] = ()

    def stream(self) -> StreamBridge:
        """Return what translates the provider's events."""
        assert isinstance(self.bridge, Bridge)
        return self.bridge.stream(self.head, self.work.body)

    def answer(self, response: InferenceResponse) -> InferenceResponse:
        """Return a whole answer as the client's dialect tells it; the same object where it is the same.

        Raises:
            Malformed: it has not the form of its dialect.
        """
        try:
            body = self._told(response.body)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            what = f"sent an answer that cannot be told as it was asked ({error})"
            raise malformed(
                what, response.body, provider=self.provider, usage=response.usage
            ) from error
        return response if body is response.body else replace(response, body=body)

    def count(self, tokens: int | None, counter: TokenCounter) -> InferenceResponse:
        """Return the answer to a request that was only to be counted; None: we count ourselves."""
        if tokens is None:
            tokens = counter.count_request(self.work.body, self.request.model)
        return InferenceResponse(OK, orjson.dumps(counted(self.work.dialect, tokens)), None)

    def _told(self, raw: bytes) -> bytes:
        if isinstance(self.bridge, EmbeddingBridge):
            return self.bridge.answer(raw, self.work.body)
        if self.bridge.transparent:
            return raw
        return orjson.dumps(self.bridge.answer(orjson.loads(raw), self.head, self.work.body))


def ask(work: Work, job: ClaimedJob, target: Target, provider: Provider) -> Asking:
    """Say a job's work as a provider understands it.

    Raises:
        BadRequest: the client's request is not what its dialect knows.
        CannotDo: the provider has no words for it; another one may.
    """
    name = provider.name
    head = Head(job.id.removeprefix("job_"), job.model, job.created_at // 1000)
    try:
        bridge = _bridge(work, provider)
        written = bridge.request(work.body)
    except Unreadable as error:
        raise BadRequest(error.message, provider=name, sent=False, param=error.param) from error
    except Unsupported as error:
        message = f"{name} cannot do this: {error.feature}"
        raise CannotDo(message, provider=name, sent=False, param=error.param) from error
    request = InferenceRequest(target.deployment.model, written.body, bridge.provider)
    return Asking(work, request, name, head, bridge, written.dropped)


def _bridge(work: Work, provider: Provider) -> Bridge | EmbeddingBridge:
    if work.operation is Operation.EMBED:
        theirs = spoken_for_embeddings(work.dialect, provider.dialects)
        return EmbeddingBridge(work.dialect, theirs)
    return Bridge(work.dialect, spoken(work.dialect, provider.dialects))
