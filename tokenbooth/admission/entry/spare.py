"""How far those who run on what others leave free may fill a deployment."""

_MILLI = 1_000
# In balance one in 51 of the others has to wait while one of these is inside.
_UP, _DOWN = 1, 50


class Spare:
    """One kind of such calls: lower bands and the operator's own apps, or tenants past their part.

    They may enter while no more than ``milli`` thousandths of all places are taken; it falls when
    one of the others has to wait beside them, and grows again with each that does not.
    """

    __slots__ = ("inside", "milli")

    def __init__(self) -> None:
        self.milli = _MILLI
        self.inside = 0

    def places(self, limit: int) -> int:
        """An idle deployment takes any call; one that has no places, none."""
        return max(min(1, limit), limit * self.milli // _MILLI)

    def got_in(self) -> None:
        """One of the others came in at once."""
        if self.milli < _MILLI:
            self.milli += _UP

    def has_to_wait(self) -> None:
        """One of the others."""
        if self.inside:
            self.milli = max(0, self.milli - _DOWN)
