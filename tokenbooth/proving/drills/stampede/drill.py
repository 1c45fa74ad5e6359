"""The stampede drill: a crowd at one limit, and not a nano beyond it."""

from collections.abc import Mapping, Sequence

from tokenbooth.proving.drills.laws import Law, lost
from tokenbooth.proving.drills.play import Drill, Scene
from tokenbooth.proving.drills.report import book_figures
from tokenbooth.proving.drills.stampede.checks import (
    CHECKS,
    StampedeSaw,
    false_refusals,
    passes,
    spent_by,
    used_ppm,
)
from tokenbooth.proving.drills.stampede.load import stampede
from tokenbooth.proving.drills.stampede.plan import (
    CALLERS_MAX,
    CALLERS_MIN,
    CALLS_MAX,
    CALLS_MIN,
    SCOPES,
    SETTINGS,
    rushes,
    stage_plan,
)
from tokenbooth.proving.observations import Evidence
from tokenbooth.proving.stage import StagePlan


class StampedeDrill(Drill[StampedeSaw]):
    """``scopes`` are the limits to run at. Raises ValueError for what cannot be played."""

    name = "stampede"
    laws: Sequence[Law[StampedeSaw]] = CHECKS
    settings = SETTINGS

    def __init__(
        self, *, calls: int = 1000, callers: int = 40, scopes: tuple[str, ...] = SCOPES
    ) -> None:
        if not CALLS_MIN <= calls <= CALLS_MAX:
            raise ValueError(f"calls must be from {CALLS_MIN} to {CALLS_MAX}")
        if not CALLERS_MIN <= callers <= CALLERS_MAX:
            raise ValueError(f"callers must be from {CALLERS_MIN} to {CALLERS_MAX}")
        if not scopes or not set(scopes) <= set(SCOPES):
            raise ValueError(f"limits must be of: {', '.join(SCOPES)}")
        self._calls = calls
        self._callers = callers
        self._rushes = rushes(scopes)

    def stage_plan(self) -> StagePlan:
        return stage_plan(self._rushes, max(self._calls, self._callers * len(self._rushes)))

    async def attack(self, scene: Scene) -> StampedeSaw:
        seen, parallel = await stampede(scene, self._rushes, self._calls, self._callers)
        return StampedeSaw(
            calls=tuple(call for each in seen for call in each.all_calls),
            probes=tuple(probe for each in seen for probe in each.probes),
            rushes=seen,
            parallel=parallel,
        )

    def figures(self, seen: Evidence[StampedeSaw]) -> Mapping[str, object]:
        return {
            "parallel": seen.saw.parallel,
            "rushes": {
                each.rush.name: {
                    "calls": len(each.calls),
                    "passed": passes(each),
                    "spent_nano": spent_by(seen, each.calls),
                    "used_ppm": used_ppm(seen, each),
                }
                for each in seen.saw.rushes
            },
            "false_refusals": false_refusals(seen),
            "lost": lost(seen),
            **book_figures(seen),
        }
