"""What others may use of probe packs."""

from tokenbooth.verify.packs.rules import is_right, probe
from tokenbooth.verify.packs.values import PACK_VERSION, Family, Pack, Probe

__all__ = ["PACK_VERSION", "Family", "Pack", "Probe", "is_right", "probe"]
