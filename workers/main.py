"""What `dramatiq workers.main` loads: the broker with its one middleware, and the actors."""

import sys

import dramatiq

from shared import failpoints, open_files
from shared.settings import Settings
from shared.telemetry import logs, multiprocess
from workers import jobs, webhooks
from workers.broker import GatedBroker
from workers.process import WorkerProcess

SWITCH_S = 0.0005
"""The loop gets its turn among the broker's threads so soon: a lone job's way is full of hand-overs."""


def build(settings: Settings) -> GatedBroker:
    """Return the broker of a worker process, ready for Dramatiq to run."""
    logs.configure(settings.log_level, settings.log_format)
    multiprocess.share(settings.data_dir / "metrics")
    failpoints.arm(settings.failpoint)
    open_files.raise_limit()
    sys.setswitchinterval(SWITCH_S)
    process = WorkerProcess(settings)
    # None of Dramatiq's own middleware: retries, time limits and delays are the database's business.
    broker = GatedBroker(settings.redis_url, gate=process, middleware=[process])
    jobs.declare(broker, process)
    webhooks.declare(broker, process)
    return broker


dramatiq.set_broker(build(Settings()))
