from checks.exemptions import Exemption, idle, remaining
from checks.source import Finding

FOUND = [
    Finding("print", "tokenbooth/a/b.py", 1, "A.f", "prints"),
    Finding("print", "tokenbooth/a/c.py", 1, "g", "prints"),
    Finding("sleep", "tokenbooth/a/b.py", 1, "A.f", "sleeps"),
]


def test_an_exemption_covers_its_rule_place_and_subject_only() -> None:
    exact = Exemption("print", "tokenbooth/a/b.py", "A.f", "because")
    assert remaining(FOUND, [exact]) == FOUND[1:]
    assert remaining(FOUND, [Exemption("print", "tokenbooth/a/b.py", "f", "because")]) == FOUND


def test_stars_stand_for_any_text() -> None:
    wide = Exemption("print", "tokenbooth/*.py", "*", "because")
    assert remaining(FOUND, [wide]) == FOUND[2:]
    assert idle(FOUND, [wide]) == []


def test_an_exemption_that_covers_nothing_is_idle() -> None:
    unused = Exemption("built-sql", "*", "*", "because")
    assert idle(FOUND, [unused]) == [unused]
    assert remaining(FOUND, []) == FOUND
