"""Whether this replica should get calls now."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tokenbooth.catalog.models.service import Model
from tokenbooth.engines.port import Health


@dataclass(frozen=True, slots=True)
class Readiness:
    """``offered`` and ``ready`` count models; a model is ready with one ready deployment."""

    store: bool
    offered: int
    ready: int

    @property
    def is_ready(self) -> bool:
        """An empty booth is ready; otherwise one model is enough, the others answer 503."""
        return self.store and (self.offered == 0 or self.ready > 0)


def readiness(models: Collection[Model] | None, health: Mapping[str, Health]) -> Readiness:
    """``models`` is ``None`` when the store cannot be read; ``health`` is by deployment id."""
    if models is None:
        return Readiness(store=False, offered=0, ready=0)
    ready = sum(
        any(d.id in health and health[d.id].ready for d in model.deployments) for model in models
    )
    return Readiness(store=True, offered=len(models), ready=ready)


def readiness_json(found: Readiness) -> dict[str, object]:
    return {
        "status": "ready" if found.is_ready else "not_ready",
        "store": found.store,
        "models": {"offered": found.offered, "ready": found.ready},
    }
