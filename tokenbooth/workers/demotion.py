"""Takes models a stage back whose evidence was revoked."""

from collections.abc import Callable

from tokenbooth.control import launching
from tokenbooth.control.launch_report import Desk
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.workers.loop import Loop

# Clocks of several servers differ, and a command's transaction takes its time.
OVERLAP_US = 60_000_000


class Demotion:
    """The first round looks at all that was ever revoked, each later one at what is new; several
    replicas move a model once, because the move itself is newer than the revocation."""

    def __init__(self, store: Store, new_op: Callable[[], Op], desk: Callable[[], Desk]) -> None:
        """``desk`` reads the operator's policy anew each time that it is needed."""
        self._store = store
        self._new_op = new_op
        self._desk = desk
        self._looked_us = OVERLAP_US

    def loop(self, every_ms: int) -> Loop:
        return Loop("demotions", every_ms, self.demote)

    async def demote(self) -> int:
        """How many models went back."""
        op, moved = self._new_op(), 0
        now_us, since_us = op.now(), self._looked_us - OVERLAP_US
        for model in await self._store.read(lambda tx: launching.demotions_due(op, tx, since_us)):
            moved += await self._one(op, model)
        self._looked_us = now_us
        return moved

    async def _one(self, op: Op, model: str) -> int:
        desk = self._desk()
        found = await self._store.write(lambda tx: launching.demote(op, tx, model, desk))
        if found is None:
            return 0
        op.log.fault("stage_demoted", model=model, stage=found.stage.value, reason=found.reason)
        return 1
