"""``docs/drills.md`` names every law of every drill, and nothing else."""

from pathlib import Path

from tokenbooth.proving.drills.mixed.drill import MixedDrill

PAGE = Path(__file__).parents[4] / "docs" / "drills.md"
DRILLS = (MixedDrill(),)


def test_every_law_is_documented_and_nothing_else_is() -> None:
    rows = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line[:3] == "| `"]
    laws = {law for drill in DRILLS for law in drill.laws}
    assert sorted(set(rows)) == sorted(law.__name__ for law in laws)
    assert all(law.__doc__ for law in laws)
