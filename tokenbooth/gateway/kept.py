"""What becomes of the response of a call, as the ten steps see it."""

from collections.abc import Callable

from tokenbooth.core.ports import Sink
from tokenbooth.core.receipt import Receipt
from tokenbooth.gateway.headers import Pairs


class Kept:
    """A call of which no response is kept."""

    def tee(self, sink: Sink) -> Sink:
        """The sink that the call is to write to."""
        return sink

    def began(self, headers: Pairs) -> None:
        """Money is held, and the call runs."""

    async def stored(
        self, receipt: Receipt | None, write: Callable[[], None]
    ) -> Callable[[], None]:
        """What says the last of the answer, which ``write`` does, once it is stored."""
        return write

    async def refused(self, *, held: bool) -> None:
        """The call ended by a problem, which was told; ``held``: after money was held for it."""

    def close(self) -> None:
        """The call is over in every way."""


NOTHING = Kept()
