"""Where the jobs of a lane may go: its own target, and those that its routes fall back on."""

from collections.abc import Sequence

import structlog

from shared.auth.standings import COMMON, Standing
from shared.errors import NotFound
from shared.jobs.lanes import lane_of
from shared.limiter.buckets import Lane
from shared.routing.catalog import Catalog
from shared.routing.facts import Facts
from shared.routing.model import Capability, Deployment, Target, targets
from shared.routing.select import EMBEDS_ONLY, NothingFits, fitting_deployments

log = structlog.get_logger()

MOST_REMEMBERED = 10_000


class Ways:
    """What the catalog says of models and lanes, remembered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._begin()

    def _begin(self) -> None:
        self._version = self._catalog.version
        self._by_model: dict[str, tuple[str, ...]] = {}
        self._targets: dict[str, Target] = {}
        self._around: dict[str, set[str]] = {}
        self._of_jobs: dict[tuple[str, str, Standing, bool], Sequence[str]] = {}
        for name, _ in self._catalog.routes():
            self.of_model(name)

    def tidy(self) -> None:
        """Forget all but what is configured, if it is too much or the operator has changed something.

        Between two uses of what this returned.
        """
        most = max(len(self._by_model), len(self._of_jobs))
        if most > MOST_REMEMBERED or self._version != self._catalog.version:
            self._begin()

    def of_model(self, model: str) -> Sequence[str]:
        """Return the lanes that a model's jobs may use, best first; none where nothing serves it."""
        keys = self._by_model.get(model)
        if keys is None:
            keys = self._learn(model)
        return keys

    def of_job(
        self, model: str, home: str, standing: Standing = COMMON, *, surely: bool = False
    ) -> Sequence[str]:
        """Return the lanes that a job stored in `home` may use; none where nothing serves it.

        A tenant's regions and tier are held. What else a job needs is not known here: with `surely`
        only those are returned that can do whatever its home can, which was found to fit.
        """
        asked = model, home, standing, surely
        keys = self._of_jobs.get(asked)
        if keys is None:
            keys = self._of_jobs[asked] = self._open_to(*asked)
        return keys

    def models_of(self, lane: str) -> Sequence[str]:
        """Return the models whose jobs may use a lane."""
        return [model for model, keys in self._by_model.items() if lane in keys]

    def lead_elsewhere(self, model: str, lane: str) -> bool:
        """Tell whether a model's jobs may go somewhere, but not to this lane."""
        keys = self.of_model(model)
        return bool(keys) and lane not in keys

    def of_lane(self, lane: str) -> Sequence[str]:
        """Return the lanes that jobs stored in a lane may use; none where it is not known."""
        if lane not in self._around:
            # That of a vendor without configuration begins with the model's name.
            self.of_model(lane.rpartition(":")[0])
        return [lane, *sorted(self._around[lane] - {lane})] if lane in self._around else ()

    def lanes(self, keys: Sequence[str]) -> list[Lane]:
        """Return the limiter's lanes of these keys."""
        return [lane_of(self._targets[key]) for key in keys]

    def deployments(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the name of the deployment behind each of these keys."""
        return {key: self._targets[key].deployment.name for key in keys}

    def _open_to(self, model: str, home: str, standing: Standing, surely: bool) -> Sequence[str]:
        keys = self.of_model(model)
        if not keys:
            return ()
        # Every kind of request may come here: an embedding, too.
        facts = Facts(regions=standing.regions, tier=standing.tier, embeds=True)
        try:
            some = fitting_deployments(self._catalog.resolve(model), facts)
        except NothingFits:
            return ()
        names = {each.name for each in some}
        keys = tuple(key for key in keys if self._targets[key].deployment.name in names)
        if not surely or home not in keys:
            return keys
        least = self._targets[home].deployment
        return [key for key in keys if _covers(self._targets[key].deployment, least)]

    def _targets_of(self, model: str) -> Sequence[Target]:
        try:
            every = targets(self._catalog.resolve(model))
            for each in every:
                lane_of(each)
        except NotFound:
            return ()
        except Exception:
            # One model's jobs go to a worker, which says what is wrong; all others' go on.
            log.exception("dispatch.no_ways", model=model)
            return ()
        return every

    def _learn(self, model: str) -> tuple[str, ...]:
        every = self._targets_of(model)
        keys = tuple(each.lane_key for each in every)
        self._by_model[model] = keys
        for each in every:
            self._targets[each.lane_key] = each
            self._around.setdefault(each.lane_key, set()).update(keys)
        return keys


def _covers(one: Deployment, other: Deployment) -> bool:
    """Tell whether one surely takes all that fits the other."""
    if one.capabilities == EMBEDS_ONLY != other.capabilities:
        return False
    able = all(one.can(each) for each in Capability if other.can(each))
    return (
        able
        and _is_wider(one.context_tokens, other.context_tokens)
        and _is_wider(one.max_output_tokens, other.max_output_tokens)
    )


def _is_wider(one: int | None, other: int | None) -> bool:
    return one is None or (other is not None and one >= other)
