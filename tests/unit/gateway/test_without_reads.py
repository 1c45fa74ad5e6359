"""A call of a known caller reads nothing, and is answered while nothing can be read."""

from pathlib import Path
from typing import Any

from tests.support.booth import chat, open_test_booth
from tests.support.keyed import AWAY, error, in_loop


class Away:
    """A store that nothing can be read from."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, verb: Any) -> Any:
        self.reads += 1
        raise AWAY


def test_a_known_caller_is_served_without_a_read(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path) as booth:
            await booth.ask(chat())
            directory: Any = booth.rooms.directory
            directory._store = away = Away()
            for stream in (False, True):
                assert (await booth.ask(chat(stream=stream))).status == 200
            assert away.reads == 0

    in_loop(scenario)


def test_a_known_caller_is_served_while_the_database_is_away_and_a_new_one_is_not(tmp_path: Path):
    async def scenario():
        async with open_test_booth(tmp_path, directory_stale_max_s=60) as booth:
            await booth.ask(chat())
            directory: Any = booth.rooms.directory
            directory._store = away = Away()
            booth.clock.us += 60_000_000
            served = await booth.ask(chat())
            assert served.status == 200
            assert away.reads > 0
            booth.clock.us += 1
            refused = await booth.ask(chat())
            assert error(refused) == (503, "billing_unavailable")
            assert refused.headers["retry-after"] == "1"
            assert await booth.spent_nano() > 0
            await booth.verified()

    in_loop(scenario)
