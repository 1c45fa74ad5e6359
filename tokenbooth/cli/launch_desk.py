"""What the commands of launches share: the booth's gates and key, and what was asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenbooth.booth import Booth
    from tokenbooth.control.launch_report import Desk, ReadinessAsk
    from tokenbooth.launch.stages.service import Stage


@dataclass(frozen=True, slots=True)
class LaunchWishes:
    """As they were typed."""

    model: str
    stage: "Stage"
    capability: str
    population: int | None
    demand_per_minute: int | None
    predecessor: str | None

    def ask(self) -> "ReadinessAsk":
        from tokenbooth.control.launch_report import ReadinessAsk

        return ReadinessAsk(
            model=self.model,
            stage=self.stage,
            capability=self.capability,
            population=self.population,
            demand_per_minute=self.demand_per_minute,
            predecessor=self.predecessor,
        )


def desk_of(booth: "Booth") -> "Desk":
    """Raises INVALID_VALUE for a policy that is wrong."""
    from tokenbooth.control.launch_report import Desk
    from tokenbooth.control.launching import policy_of

    return Desk(policy_of(booth.settings.data_dir), booth.signer().key)
