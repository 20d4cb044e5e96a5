"""*rescue*: from `kill -9` of a worker to the call of its job by another one."""

import time
import urllib.request
from dataclasses import dataclass

from bench import prompts, service
from bench.service import MODEL, Service
from bench.upstreams import Upstream

DELAY_MS = 600_000
POLL_S = 0.02
CALLED_WITHIN_S = 15
QUICK = {
    "PENSTOCK_LEASE_S": "2",
    "PENSTOCK_RENEW_S": "0.5",
    "PENSTOCK_SWEEP_S": "0.25",
    "PENSTOCK_TICK_S": "0.1",
}


@dataclass(frozen=True, slots=True)
class Rescue:
    """How long a job was without a worker, in seconds."""

    settings: str
    seconds: float


def measure(upstream: Upstream, *, quick: bool, most_s: float) -> Rescue:
    """Kill the worker in the middle of a call, while another one stands idle.

    Raises:
        RuntimeError: the job was not called again within `most_s` seconds.
    """
    upstream.reset(delay_ms=DELAY_MS)
    settings = QUICK if quick else {}
    with service.running(upstream.port, concurrency=64, settings=settings) as running:
        _submit(running)
        _await_calls(upstream, 1, within_s=CALLED_WITHIN_S)
        running.start("second worker", "worker")
        time.sleep(2)
        began = time.perf_counter()
        running.parts.pop("worker").kill_tree()
        _await_calls(upstream, 2, within_s=most_s)
        seconds = time.perf_counter() - began
        upstream.child.check()
        # What hangs on a call that never ends need not be waited for.
        running.parts["second worker"].kill_tree()
    return Rescue("of the tests" if quick else "default", seconds)


def _submit(running: Service) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.port}/v1/jobs",
        data=prompts.submit(0, model=MODEL),
        headers={"authorization": f"Bearer {running.key}", "content-type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        if answer.status != 202:
            raise RuntimeError(f"submit answered {answer.status}")


def _await_calls(upstream: Upstream, count: int, *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while upstream.stats()["calls"] < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the upstream was not called {count} times in {within_s:g} s")
        time.sleep(POLL_S)
