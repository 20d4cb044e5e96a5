"""Where the jobs of a lane may go: its own target, and those that its routes fall back on."""

from collections.abc import Sequence

from shared.errors import NotFound
from shared.jobs.lanes import lane_of
from shared.limiter.buckets import Lane
from shared.routing.catalog import Catalog
from shared.routing.model import Target, targets

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
        for name, _ in self._catalog.routes():
            self.of_model(name)

    def tidy(self) -> None:
        """Forget all but what is configured, if it is too much or the operator has changed something.

        Between two uses of what this returned.
        """
        if len(self._by_model) > MOST_REMEMBERED or self._version != self._catalog.version:
            self._begin()

    def of_model(self, model: str) -> Sequence[str]:
        """Return the lanes that a model's jobs may use, best first; none where nothing serves it."""
        keys = self._by_model.get(model)
        if keys is None:
            keys = self._learn(model)
        return keys

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

    def _learn(self, model: str) -> tuple[str, ...]:
        try:
            every = targets(self._catalog.resolve(model))
        except NotFound:
            every = ()
        keys = tuple(each.lane_key for each in every)
        self._by_model[model] = keys
        for each in every:
            self._targets[each.lane_key] = each
            self._around.setdefault(each.lane_key, set()).update(keys)
        return keys
