"""What the API opens at its start: the shared resources, and its own submitter, reader and waiters."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette

from api.direct.disconnect import Canceller
from api.events.followers import Followers
from api.log_reader import LogReader
from api.readiness import Readiness
from api.waiting import Waiting, left_at_signals
from shared.auth.keyring import Keyring
from shared.batches import store as batch_store
from shared.jobs.admission import Admission
from shared.jobs.pace import Pace
from shared.jobs.pulse import Pulse
from shared.jobs.reader import JobReader
from shared.jobs.submit import Submitter
from shared.limiter.levels import Levels
from shared.resources import Resources, open_resources
from shared.settings import Settings
from shared.telemetry.metrics import ApiMetrics


class State(TypedDict):
    """What every handler finds in `request.state`."""

    resources: Resources
    keyring: Keyring
    admission: Admission
    submitter: Submitter
    reader: JobReader
    pace: Pace
    waiting: Waiting
    deltas: LogReader
    followers: Followers
    levels: Levels
    canceller: Canceller
    pulse: Pulse
    metrics: ApiMetrics
    readiness: Readiness


def lifespan(
    settings: Settings, metrics: ApiMetrics
) -> Callable[[Starlette], AbstractAsyncContextManager[State]]:
    """Return the lifespan of an application with these settings."""

    @asynccontextmanager
    async def run(_app: Starlette) -> AsyncIterator[State]:
        async with open_resources(settings) as resources:
            database = resources.database
            admission = Admission(database, settings, unread=batch_store.unread)
            submitter = Submitter(
                database,
                resources.publisher,
                resources.announcer,
                settings,
                admission=admission,
                bell=resources.bell,
            )
            waiting = Waiting(resources.redis)
            keyring = Keyring(database, resources.secret_key)
            canceller = Canceller(resources, metrics)
            reader, pace = JobReader(database), Pace(database, resources.redis, resources.catalog)
            deltas = LogReader(resources.redis)
            followers = Followers(
                database,
                waiting,
                deltas,
                reader,
                pace,
                most=settings.max_sse_clients,
                most_per_key=settings.max_sse_clients_per_key,
            )
            await resources.watch.start()
            waiting.start()
            followers.start()
            try:
                with left_at_signals(waiting):
                    yield State(
                        resources=resources,
                        keyring=keyring,
                        admission=admission,
                        submitter=submitter,
                        reader=reader,
                        pace=pace,
                        waiting=waiting,
                        deltas=deltas,
                        followers=followers,
                        levels=Levels(resources.redis),
                        canceller=canceller,
                        pulse=Pulse(database),
                        metrics=metrics,
                        readiness=Readiness(resources),
                    )
            finally:
                await waiting.close()
                await followers.close()
                await canceller.close()
                await submitter.close()
                await keyring.close()

    return run
