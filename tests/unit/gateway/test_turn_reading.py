import asyncio
import threading

import pytest

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.gateway.turn_reading import BESIDE_FROM_BYTES, turn_read


class Heard:
    """A dialect that remembers which thread read it."""

    def parse(self, raw):
        self.thread = threading.get_ident()
        if raw.endswith(b"!"):
            raise Problem(Code.INVALID_VALUE, "Not this.")
        return len(raw)


def test_only_a_large_body_is_read_beside_the_loop():
    dialect = Heard()
    for size, beside in ((10, False), (BESIDE_FROM_BYTES - 1, False), (BESIDE_FROM_BYTES, True)):
        assert asyncio.run(turn_read(dialect, b" " * size)) == size
        assert (dialect.thread != threading.get_ident()) is beside


def test_what_is_wrong_with_it_is_said_either_way():
    for size in (10, BESIDE_FROM_BYTES):
        with pytest.raises(Problem):
            asyncio.run(turn_read(Heard(), b" " * size + b"!"))
