"""The parts of a play that need no running instance."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.toy_booth import ToyBooth, ToyInstance, toy_stage
from tests.support.wire_server import body_answer, threaded, wire_server
from tokenbooth.proving.client import Address
from tokenbooth.proving.drills import play
from tokenbooth.proving.drills.laws import BOOK_LAWS, answers_match_records, one_record_each
from tokenbooth.proving.drills.play import REPLICAS_MAX, Drill, DrillOptions, Scene
from tokenbooth.proving.drills.report import DrillReport, book_figures
from tokenbooth.proving.drills.script import script_prompt
from tokenbooth.proving.instance import PrivateInstance
from tokenbooth.proving.observations import Evidence, LedgerSeen, LevelSeen, PriceSeen, Saw
from tokenbooth.proving.plans import CallKind, CallPlan
from tokenbooth.proving.stage import KeyPlan, ModelPlan, OrgPlan, Stage, StageKey, StagePlan


def row(scope: str, owner: str, limit: int | None, held: int = 2) -> dict[str, Any]:
    return {
        "scope": scope,
        "owner_id": owner,
        "limit": None if limit is None else {"amount_nano": limit},
        "spent": {"amount_nano": 1},
        "held": {"amount_nano": held},
    }


class FakeReplica:
    def __init__(self, port: int) -> None:
        self.address = Address("127.0.0.1", port)


class FakeInstance:
    """Answers commands from a table."""

    def __init__(self, documents: Mapping[str, Any] | None = None, status: int = 0) -> None:
        self.documents = documents or {}
        self.status = status
        self.replicas = tuple(map(FakeReplica, (81, 82, 83)))

    def command(self, *arguments: str) -> Any:
        return self.documents[" ".join(arguments)]

    def command_status(self, *arguments: str) -> tuple[int, Any, str]:
        return self.status, self.documents.get(" ".join(arguments), {}), "what went wrong"

    @property
    def real(self) -> PrivateInstance:
        return cast("PrivateInstance", self)


@pytest.mark.parametrize("replicas", [0, -1, REPLICAS_MAX + 1])
def test_impossible_options_are_refused(replicas: int) -> None:
    with pytest.raises(ValueError, match="replicas must be from 1"):
        DrillOptions(replicas=replicas)


def test_a_directory_to_keep_must_be_new_or_empty(tmp_path: Path) -> None:
    assert DrillOptions(keep=tmp_path).keep == tmp_path
    assert DrillOptions(keep=tmp_path / "new").keep == tmp_path / "new"
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        DrillOptions(keep=tmp_path)


def test_a_kept_directory_stays_and_another_one_goes(tmp_path: Path) -> None:
    with play._directory(DrillOptions(keep=tmp_path / "new")) as kept:
        (kept / "log").write_text("x")
    with play._directory(DrillOptions()) as made:
        (made / "log").write_text("x")
    assert (tmp_path / "new" / "log").exists()
    assert not made.exists()


def test_calls_go_to_the_replicas_in_turn() -> None:
    scene = Scene(
        options=DrillOptions(),
        stage=Stage({}, {}, {}, {}),
        instance=FakeInstance().real,
        progress=lambda _stage, _done, _total: None,
    )
    assert [scene.address(number).port for number in range(5)] == [81, 82, 83, 81, 82]
    assert scene.now_us() <= scene.now_us()


@pytest.mark.parametrize("status", [0, 1])
def test_a_verdict_of_the_ledger_is_read_whatever_it_is(status: int) -> None:
    document = {"difference": {"amount_nano": 3}, "open_holds": 2, "problems": ["odd"]}
    fake = FakeInstance({"ledger verify": document}, status)
    assert play.ledger_seen(fake.real) == LedgerSeen(3, 2, ("odd",))


@pytest.mark.parametrize("document", [{}, {"error": {"code": "x"}}])
def test_a_ledger_that_cannot_be_read_is_a_problem_and_not_a_pass(document: Any) -> None:
    found = play.ledger_seen(FakeInstance({"ledger verify": document}, 1).real)
    assert len(found.problems) == 1
    assert "what went wrong" in found.problems[0]


def test_the_levels_of_the_stages_own_keys_are_read_and_no_others() -> None:
    listed = {
        "data": [
            {"id": "k1", "limits": [row("key", "k1", 5)]},
            {"id": "stranger", "limits": [row("key", "stranger", 5)]},
            {"id": "k2", "limits": [row("key", "k2", None)]},
        ]
    }
    keys = {name: StageKey(name, "s", "main") for name in ("k1", "k2")}
    found = play.key_levels_seen(
        FakeInstance({"key list": listed}).real, Stage({"main": "a"}, {}, keys, {})
    )
    assert found == (LevelSeen("key", "k1", 5, 1, 2), LevelSeen("key", "k2", None, 1, 2))


def test_the_levels_above_the_keys_are_read_once_and_a_revoked_key_is_no_obstacle() -> None:
    async def serve(asked: bytes, writer: asyncio.StreamWriter) -> None:
        if b"Bearer revoked" in asked:
            writer.write(body_answer(b'{"error": {}}', 401))
            return
        limits = [row("project", "p", 9), row("balance", "o", 7), row("key", "k", 5)]
        writer.write(body_answer(json.dumps({"limits": limits}).encode()))

    async def scene() -> tuple[LevelSeen, ...]:
        keys = {name: StageKey(name, name, "main") for name in ("k1", "revoked")}
        async with wire_server(serve) as address:
            return await play._levels(address, Stage({}, {}, keys, {"main": "reader"}))

    assert asyncio.run(scene()) == (
        LevelSeen("balance", "o", 7, 1, 2),
        LevelSeen("project", "p", 9, 1, 2),
    )


def test_sigterm_ends_a_drill_as_ctrl_c_does_and_is_itself_again_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job
    try:
        with pytest.raises(KeyboardInterrupt), play.ended_by_signal():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, ignored)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_drill_in_another_thread_leaves_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with play.ended_by_signal():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def quiet(held: list[int], monkeypatch: pytest.MonkeyPatch, wait_s: int = 60) -> bool:
    """Whether it becomes quiet when the balances show ``held``, one after the other."""
    monkeypatch.setattr(play, "POLL_S", 0)
    monkeypatch.setattr(play, "QUIET_WAIT_S", wait_s)
    left = iter(held)

    async def serve(_asked: bytes, writer: asyncio.StreamWriter) -> None:
        limits = [row("balance", "o", 9, next(left))]
        writer.write(body_answer(json.dumps({"limits": limits}).encode()))

    async def scene() -> bool:
        async with wire_server(serve) as address:
            return await play.until_quiet((address, address), ("secret",))

    found = asyncio.run(scene())
    assert wait_s == 0 or next(left, None) is None
    return found


@pytest.mark.parametrize("held", [[0, 0], [5, 0, 0, 0], [0, 3, 0, 0], [5, 3, 0, 1, 0, 0]])
def test_it_is_quiet_when_no_replica_shows_money_held(
    held: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quiet(held, monkeypatch)


def test_the_drill_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not quiet([], monkeypatch, wait_s=0)


PRICE = PriceSeen(input_pico=1_000_000, cached_pico=1_000_000, output_pico=7_000_000)


class TinyDrill(Drill[Saw]):
    """Three calls, one after the other."""

    name = "tiny"
    laws = (*BOOK_LAWS, one_record_each, answers_match_records)

    def stage_plan(self) -> StagePlan:
        model = ModelPlan(name="m", price=PRICE, output_tokens_max=64)
        return StagePlan(orgs=(OrgPlan("main", 10**12),), models=(model,), keys=(KeyPlan("k"),))

    async def attack(self, scene: Scene) -> Saw:
        plans = (
            CallPlan(number=n, kind=CallKind.WHOLE, key="k", prompt=script_prompt(chunks=4))
            for n in range(3)
        )
        return Saw(calls=tuple([await scene.call(plan) for plan in plans]))

    def figures(self, seen: Evidence[Saw]) -> Mapping[str, object]:
        return book_figures(seen)


class ToyHouse(ToyInstance):
    """An instance around a toy in another thread; commands know the toy's books."""

    def __init__(self, address: Address, booth: ToyBooth, difference_nano: int) -> None:
        super().__init__(address, 2)
        self._booth = booth
        self._difference_nano = difference_nano
        self.started = self.stopped = 0
        for replica in self.replicas:
            replica.stop = self._stop  # type: ignore[attr-defined]

    def __enter__(self) -> "ToyHouse":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def _stop(self) -> int:
        self.stopped += 1
        return 0

    def start(self) -> None:
        self.started += 1

    def settings(self) -> str:
        return "settings"

    def command(self, *_: str) -> Any:
        return {"data": [{"id": "k", "limits": [self._booth.level("k").row("k")]}]}

    def command_status(self, *_: str) -> tuple[int, Any, str]:
        found = {"amount_nano": self._difference_nano}
        return 0, {"difference": found, "open_holds": 0, "problems": []}, ""


def tiny(
    monkeypatch: pytest.MonkeyPatch, difference_nano: int = 0
) -> tuple[DrillReport, ToyHouse, list[str]]:
    booth, stages = ToyBooth({"m": PRICE}), []
    with threaded(booth.play) as address:
        house = ToyHouse(address, booth, difference_nano)
        monkeypatch.setattr(play, "PrivateInstance", lambda *_args, **_options: house)
        monkeypatch.setattr(play, "set_stage", lambda _settings, plan, _suffix: toy_stage(plan))
        monkeypatch.setattr(play, "clear_stage", lambda settings, _stage: stages.append(settings))
        report = play.run_drill(
            TinyDrill(),
            DrillOptions(seed=7, replicas=2, store_url="postgresql://x"),
            lambda stage, _done, _total: stages.append(stage),
        )
    return report, house, stages


def test_a_drill_is_played_from_its_stage_to_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    report, house, stages = tiny(monkeypatch)
    assert report.violations == ()
    assert (report.frame.drill, report.frame.seed, report.frame.store) == ("tiny", 7, "postgresql")
    assert (report.frame.replicas, report.figures["calls"], report.figures["records"]) == (2, 3, 3)
    assert report.figures["spent_nano"] == report.figures["ledger_nano"]
    assert report.figures["spent_nano"] != 0
    assert (house.started, house.stopped) == (1, 2)
    assert stages == ["set up", "set up", "check", "settings", "check"]


def test_what_the_ledger_says_fails_a_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    report, _house, _stages = tiny(monkeypatch, difference_nano=1)
    assert [violation.check for violation in report.violations] == ["ledger_is_sound"]
