"""Whole lives: a seed plays again, findings add up, and the command shows them."""

import json

import pytest

from tokenbooth.cli.app import run
from tokenbooth.proving.simulator import fleet
from tokenbooth.proving.simulator.coverage import LISTED
from tokenbooth.proving.simulator.fleet import Found, Order
from tokenbooth.proving.simulator.play import Played, Player

OPERATIONS = 40


def test_a_seed_plays_the_same_life_again_whatever_was_played_before() -> None:
    player = Player()
    first = player.play(3, OPERATIONS)
    player.play(4, OPERATIONS)
    again = player.play(3, OPERATIONS)
    assert again == first
    assert first.calls > 0
    assert set(first.counts) <= set(map(str, LISTED))


def test_other_seeds_are_other_lives() -> None:
    player = Player()
    assert len({str(player.play(seed, OPERATIONS).counts) for seed in range(4)}) == 4


def test_what_was_found_adds_up() -> None:
    found = Found()
    found.add(Played(1, (), 7, {str(LISTED[0]): 2}), 100)
    assert found.passed
    found.add(Played(2, ("overshoot",), 3, {str(LISTED[0]): 1}), 100)
    assert not found.passed
    document = found.document()
    assert document["violations"] == {"2": ["overshoot"]}
    assert (document["seeds"], document["operations"], document["calls"]) == (2, 200, 10)
    assert found.coverage[str(LISTED[0])] == 3
    assert len(found.unreached) == len(LISTED) - 1


def test_the_command_shows_lives_coverage_and_violations(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def played(order: Order, told) -> Found:
        found = Found()
        found.add(Played(order.first, ("cap: overshot",), 9, {str(LISTED[0]): 4}), 5)
        told(found)
        return found

    monkeypatch.setattr(fleet, "play_fleet", played)
    assert run(["simulate", "--seeds", "1", "--seed", "77"]) == 1
    shown = capsys.readouterr().out
    assert f"4 {LISTED[0]}" in shown
    assert f"not reached {LISTED[1]}" in shown
    assert "seed 77: cap: overshot" in shown
    assert "1 lives broke a law" in shown
    assert run(["simulate", "--seeds", "1", "--seed", "77", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["violations"] == {"77": ["cap: overshot"]}


def test_the_command_says_when_every_law_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet, "play_fleet", lambda order, told: Found())
    assert run(["simulate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
