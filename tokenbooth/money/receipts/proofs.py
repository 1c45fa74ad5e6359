"""The memory of whoever shows receipts: the trees of the last batches."""

from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts import sql
from tokenbooth.money.receipts.rules import document_of, leaf_of, proof_form, receipt_form
from tokenbooth.money.receipts.signer import PriceShelf
from tokenbooth.money.receipts.values import Batch, BookedCall, Line
from tokenbooth.signing.merkle import MerkleTree

TREES_KEPT_MAX = 16


class Proofs:
    """Writes receipts one after the other; remembers the last batches, as neighbours share them."""

    def __init__(self, shelf: PriceShelf | None = None) -> None:
        self._shelf = shelf or PriceShelf()
        self._trees: dict[str, tuple[Batch, MerkleTree]] = {}

    def line(self, op: Op, tx: Tx, call: BookedCall) -> Line:
        """A signed call with its receipt. Raises INTERNAL when its record is not the signed one."""
        assert call.batch_id is not None, "an unsigned call has no proof"
        assert call.leaf_index is not None, "an unsigned call has no proof"
        price = self._shelf.price_of(op, tx, call)
        made = receipt_form(call, price)
        leaf = leaf_of(made)
        batch, tree = self._tree(tx, call.batch_id)
        if tree.leaf(call.leaf_index) != leaf:
            raise Problem(
                Code.INTERNAL,
                "The record of this call is not the one that was signed.",
                detail=f"{call.request_id} differs from leaf {call.leaf_index} of {batch.id}",
            )
        document = document_of(made, proof_form(batch, tree, call.leaf_index))
        return Line(document, leaf, price.currency, call.cost_nano)

    def _tree(self, tx: Tx, batch_id: str) -> tuple[Batch, MerkleTree]:
        found = self._trees.get(batch_id)
        if found is None:
            batch = sql.batch(tx, batch_id)
            found = batch, MerkleTree(batch.leaves)
            if len(self._trees) == TREES_KEPT_MAX:
                self._trees.clear()
            self._trees[batch_id] = found
        return found
