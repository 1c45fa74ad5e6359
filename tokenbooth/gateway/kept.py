"""What becomes of the response of a call, as the ten steps see it."""

from collections.abc import Callable

from tokenbooth.core.ports import Sink
from tokenbooth.core.receipt import Receipt
from tokenbooth.gateway.headers import Pairs
from tokenbooth.gateway.rules import Delivery

Tell = Callable[[Delivery, int | None], None]


class Kept:
    """A call of which no response is kept."""

    def tee(self, sink: Sink) -> Sink:
        """The sink that the call is to write to."""
        return sink

    def delivering(self, tell: Tell) -> Tell:
        """Who hears what has left; ``tell`` writes it down for a crash."""
        return tell

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
