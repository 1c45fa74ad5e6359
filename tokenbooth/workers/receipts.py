"""Signs the receipts of what was settled."""

from collections.abc import Callable

from tokenbooth.control.receipts import sign_waiting
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Store
from tokenbooth.money.receipts.service import Signer
from tokenbooth.workers.loop import Loop


class ReceiptSigning:
    """One round signs all that waits; several replicas share the work and never a call."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        new_op: Callable[[], Op],
        *,
        elsewhere: Callable[[], bool] = lambda: False,
    ) -> None:
        """``elsewhere`` says whether another process signs for this one."""
        self._elsewhere = elsewhere
        self._store = store
        self._signer = signer
        self._new_op = new_op

    def loop(self, every_ms: int) -> Loop:
        return Loop("receipts", every_ms, self.sign)

    async def sign(self) -> int:
        """How many receipts were signed."""
        if self._elsewhere():
            return 0
        return await sign_waiting(self._store, self._new_op(), self._signer)
