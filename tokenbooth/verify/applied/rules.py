"""Whether a certificate in force still counts."""

from collections.abc import Collection

from tokenbooth.verify.applied.values import Applied, CapacityState


def state_of(applied: Applied, served: Collection[str], now_us: int) -> CapacityState:
    """``served`` are the fingerprints of what is served now; of none nothing can be said."""
    if now_us >= applied.expires_us:
        return CapacityState.EXPIRED
    if any(fingerprint != applied.fingerprint for fingerprint in served):
        return CapacityState.STALE
    return CapacityState.VALID
