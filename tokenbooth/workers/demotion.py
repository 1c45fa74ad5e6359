"""Takes models a stage back whose evidence was revoked."""

from collections.abc import Callable

from tokenbooth.control import launching
from tokenbooth.control.launch_report import Desk
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.workers.loop import Loop


class Demotion:
    """One round looks whether anything was revoked since a stage was decided; several replicas
    move a model once, because the move itself is newer than the revocation."""

    def __init__(self, store: Store, new_op: Callable[[], Op], desk: Callable[[], Desk]) -> None:
        """``desk`` reads the operator's policy anew each time that it is needed."""
        self._store = store
        self._new_op = new_op
        self._desk = desk

    def loop(self, every_ms: int) -> Loop:
        return Loop("demotions", every_ms, self.demote)

    async def demote(self) -> int:
        """How many models went back."""
        op, moved = self._new_op(), 0
        for model in await self._store.read(lambda tx: launching.demotions_due(op, tx)):
            moved += await self._one(op, model)
        return moved

    async def _one(self, op: Op, model: str) -> int:
        desk = self._desk()
        found = await self._store.write(lambda tx: launching.demote(op, tx, model, desk))
        if found is None:
            return 0
        op.log.fault("stage_demoted", model=model, stage=found.stage.value, reason=found.reason)
        return 1
