"""``docs/drills.md`` names every drill and every law of each, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest

from tokenbooth.proving.drills.dbdown.drill import DbdownDrill
from tokenbooth.proving.drills.disconnect.drill import DisconnectDrill
from tokenbooth.proving.drills.kill.drill import KillDrill
from tokenbooth.proving.drills.laws import BOOK_LAWS, one_record_each
from tokenbooth.proving.drills.mixed.drill import MixedDrill
from tokenbooth.proving.drills.play import Drill
from tokenbooth.proving.drills.powercut.drill import PowercutDrill
from tokenbooth.proving.drills.stampede.drill import StampedeDrill

PAGE = (Path(__file__).parents[4] / "docs" / "drills.md").read_text()
DRILLS: tuple[Drill[Any], ...] = (
    MixedDrill(),
    StampedeDrill(),
    KillDrill(seed=1),
    PowercutDrill(seed=1),
    DisconnectDrill(),
    DbdownDrill(),
)


def rows(text: str) -> list[str]:
    """The checks that tables of this text list."""
    return [line.split("`")[1] for line in text.splitlines() if line[:3] == "| `"]


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def test_every_law_is_listed_once_and_nothing_else_is() -> None:
    laws = {law for drill in DRILLS for law in drill.laws}
    listed = rows(PAGE)
    assert sorted(listed) == sorted({law.__name__ for law in laws})
    assert all(law.__doc__ for law in laws)


def test_what_every_drill_holds_is_held_by_every_drill() -> None:
    everywhere = {*BOOK_LAWS, one_record_each}
    assert sorted(rows(section("What every drill holds"))) == sorted(
        law.__name__ for law in everywhere
    )
    assert all(everywhere <= set(drill.laws) for drill in DRILLS)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_a_drills_own_laws_are_named_in_its_section(drill: Drill[Any]) -> None:
    own = {law.__name__ for law in drill.laws} - {law.__name__ for law in BOOK_LAWS}
    said = section(drill.name)
    if drill.name == "powercut":
        assert "All checks of kill hold" in said
        own = {"power_was_cut"}
    assert {name for name in own - {"one_record_each"} if f"`{name}`" not in said} == set()


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_what_a_drill_does_not_prove_is_said(drill: Drill[Any]) -> None:
    assert drill.name == "mixed" or re.search(r"does not (prove|touch)", section(drill.name))
    assert f"| [{drill.name}](#{drill.name}) |" in PAGE
