"""Shares of limits: ``Shares`` in each process, ``ShareLedger`` in the one that shares out."""

from tokenbooth.admission.shares.holder import Owner, Shares
from tokenbooth.admission.shares.ledger import ShareLedger
from tokenbooth.admission.shares.values import Answer, Grant, Kind, Limited

__all__ = ["Answer", "Grant", "Kind", "Limited", "Owner", "ShareLedger", "Shares"]
