"""What the bodies of all open calls may take together."""

import re
from collections.abc import Mapping

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

_LENGTH = re.compile(r"[0-9]{1,40}")


class BodySpace:
    """A call keeps its part until it ends."""

    def __init__(self, bytes_max: int) -> None:
        self._free_bytes = bytes_max

    def take(self, size_bytes: int) -> None:
        """Raises ENGINE_BUSY when there is no room for so much more."""
        if size_bytes > self._free_bytes:
            raise Problem(
                Code.ENGINE_BUSY, "The server holds too many large bodies.", retry_after_s=1
            )
        self._free_bytes -= size_bytes

    def give_back(self, size_bytes: int) -> None:
        self._free_bytes += size_bytes


class SpaceShare:
    """What one connection holds of the space."""

    __slots__ = ("_held_bytes", "_space")

    def __init__(self, space: BodySpace) -> None:
        self._space = space
        self._held_bytes = 0

    def hold(self, size_bytes: int) -> None:
        """Hold that much from now on. Raises ENGINE_BUSY, and holds what it held."""
        if size_bytes > self._held_bytes:
            self._space.take(size_bytes - self._held_bytes)
        else:
            self._space.give_back(self._held_bytes - size_bytes)
        self._held_bytes = size_bytes


def announced_bytes(headers: Mapping[str, str]) -> int:
    """What a head says of its body's size; 0 where it says nothing that can be believed."""
    announced = headers.get("content-length", "")
    return int(announced) if _LENGTH.fullmatch(announced) else 0


def too_large(bytes_max: int) -> Problem:
    return Problem(
        Code.BODY_TOO_LARGE,
        f"The body is larger than {bytes_max} bytes.",
        facts={"body_bytes_max": bytes_max},
    )


def too_late(wait_max_s: int) -> Problem:
    return Problem(Code.BODY_TIMEOUT, f"The body did not arrive within {wait_max_s} s.")


def hung_up() -> Problem:
    return Problem(Code.BODY_TIMEOUT, "The connection closed inside the body.")


def stopped() -> Problem:
    return Problem(Code.SHUTTING_DOWN, "The server stopped before the body was complete.")
