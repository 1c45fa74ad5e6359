"""The parts of the drill that need no running instance."""

import asyncio
import json
import os
import signal
import threading
from typing import Any, cast

import pytest

from tests.support.wire_server import body_answer, wire_server
from tokenbooth.proving import drill_mixed
from tokenbooth.proving.client import Address
from tokenbooth.proving.drill_mixed import PARALLEL_MAX, DrillOptions
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.observations import LedgerSeen, LevelSeen
from tokenbooth.proving.schedule import CALLS_MIN
from tokenbooth.proving.stage import Stage


class FakeInstance:
    """Answers commands from a table and remembers them."""

    def __init__(self, documents: dict[str, Any], status: int = 0) -> None:
        self.documents = documents
        self.status = status

    def command(self, *arguments: str) -> Any:
        return self.documents[" ".join(arguments)]

    def command_status(self, *arguments: str) -> tuple[int, Any, str]:
        return self.status, self.documents.get(" ".join(arguments), {}), "what went wrong"


def ledger_of(document: Any, status: int = 0) -> LedgerSeen:
    fake = FakeInstance({"ledger verify": document}, status)
    return drill_mixed._ledger(cast("PrivateInstance", fake))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"calls": CALLS_MIN - 1}, "calls"),
        ({"calls": 10**9}, "calls"),
        ({"parallel": 1}, "parallel"),
        ({"parallel": PARALLEL_MAX + 1}, "parallel"),
    ],
)
def test_impossible_options_are_refused(changed: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        DrillOptions(**changed)  # type: ignore[arg-type]


def test_the_defaults_are_those_of_the_command() -> None:
    assert DrillOptions() == DrillOptions(calls=500, seed=1, parallel=16, store_url=None)


@pytest.mark.parametrize("status", [0, 1])
def test_a_verdict_of_the_ledger_is_read_whatever_it_is(status: int) -> None:
    document = {"difference": {"amount_nano": 3}, "open_holds": 2, "problems": ["odd"]}
    assert ledger_of(document, status) == LedgerSeen(3, 2, ("odd",))


@pytest.mark.parametrize("document", [{}, {"error": {"code": "x"}}])
def test_a_ledger_that_cannot_be_read_is_a_problem_and_not_a_pass(document: Any) -> None:
    found = ledger_of(document, 1)
    assert len(found.problems) == 1
    assert "what went wrong" in found.problems[0]


def test_the_levels_of_all_keys_of_all_organizations_are_read() -> None:
    def row(owner: str, limit: int | None) -> dict[str, Any]:
        amount = None if limit is None else {"amount_nano": limit}
        return {
            "scope": "key",
            "owner_id": owner,
            "limit": amount,
            "spent": {"amount_nano": 1},
            "held": {"amount_nano": 2},
        }

    fake = FakeInstance(
        {
            "key list --org a": {
                "data": [{"limits": [row("k1", 5)]}, {"limits": [row("k2", None)]}]
            },
            "key list --org b": {"data": [{"limits": [row("k3", 7)]}]},
        }
    )
    stage = Stage("m", "s", {"main": "a", "poor": "b"}, {})
    assert drill_mixed._key_levels(cast("PrivateInstance", fake), stage) == (
        LevelSeen("key", "k1", 5, 1, 2),
        LevelSeen("key", "k2", None, 1, 2),
        LevelSeen("key", "k3", 7, 1, 2),
    )


def test_sigterm_ends_a_drill_as_ctrl_c_does_and_is_itself_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), drill_mixed._ended_by_signal():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_drill_in_another_thread_leaves_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with drill_mixed._ended_by_signal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def quiet(held: list[int], monkeypatch: pytest.MonkeyPatch, wait_s: int = 60) -> bool:
    """Whether it becomes quiet when the balance shows each of ``held`` in turn."""
    monkeypatch.setattr(drill_mixed, "POLL_S", 0)
    monkeypatch.setattr(drill_mixed, "QUIET_WAIT_S", wait_s)
    left = iter(held)

    async def play(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        row = {
            "scope": "balance",
            "owner_id": "o",
            "limit": {"amount_nano": 9},
            "spent": {"amount_nano": 0},
            "held": {"amount_nano": next(left)},
        }
        writer.write(body_answer(json.dumps({"limits": [row]}).encode()))

    async def scene() -> bool:
        async with wire_server(play) as address:
            return await drill_mixed._until_quiet(address, ("secret",))

    return asyncio.run(scene())


def test_the_drill_waits_until_no_money_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quiet([5, 3, 0], monkeypatch)


def test_the_drill_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not quiet([], monkeypatch, wait_s=0)


def test_the_engine_is_the_own_mock_on_the_given_port(tmp_path: Any) -> None:
    child = drill_mixed._engine(Address("127.0.0.1", 4567), tmp_path / "log")
    command = " ".join(child._command)
    assert "tokenbooth mock-upstream --port 4567" in command
    assert "--chunks 40 --chunk-delay-ms 10" in command
