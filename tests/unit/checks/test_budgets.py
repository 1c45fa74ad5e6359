import json
from pathlib import Path

import pytest

from checks import budgets
from checks.budgets import EXEMPT, OK, OVER, Row
from checks.source import Finding, Source


def source(path: str, lines: int) -> Source:
    return Source(path, "a = 1\n" * lines)


def by_name(found: list[Row]) -> dict[str, Row]:
    return {row.budget: row for row in found}


def test_the_largest_figures_and_their_places_are_shown() -> None:
    shown = by_name(
        list(
            budgets.size_rows(
                [
                    source("tokenbooth/a.py", 30),
                    Source(
                        "tokenbooth/b.py", "class A:\n    def f(self, a, b):\n        return 1\n"
                    ),
                ]
            )
        )
    )
    assert shown["largest file, lines"] == Row(
        "largest file, lines", "30", "400", OK, "tokenbooth/a.py"
    )
    assert shown["longest function, lines"].today == "2"
    assert shown["longest function, lines"].where == "tokenbooth/b.py A.f"
    assert shown["largest class, lines"].today == "3"
    assert shown["most parameters"].today == "2"


def test_an_empty_product_has_figures_of_zero() -> None:
    shown = list(budgets.size_rows([source("tokenbooth/a.py", 1)]))
    assert [row.today for row in shown] == ["1", "0", "0", "0"]


def test_an_excess_fails_unless_it_is_exempt_by_name() -> None:
    large = by_name(list(budgets.size_rows([source("tokenbooth/a.py", 401)])))
    assert large["largest file, lines"].state == OVER
    exempt = Finding("class-length", "tokenbooth/core/codes.py", 1, "Code", "long")
    assert budgets.size_row("b", [(401, "a")], 400, [exempt]).state == EXEMPT
    assert budgets.size_row("b", [(401, "a")], 400, []).state == OK


def test_sites_of_broken_rules_are_counted_and_fail_when_they_have_no_name() -> None:
    text = "def f():\n    try: a\n    except Exception: b\n"
    shown = by_name(list(budgets.site_rows([Source("tokenbooth/gateway/a.py", text)])))
    assert shown["broad excepts, named sites"].state == OVER
    assert shown["broad excepts, named sites"].where == "tokenbooth/gateway/a.py"
    edge = Source("tokenbooth/workers/loop.py", text.replace("f()", "run_loop()"))
    assert by_name(list(budgets.site_rows([edge])))["broad excepts, named sites"].state == EXEMPT
    assert by_name(list(budgets.site_rows([])))["broad excepts, named sites"].state == OK


def test_a_cycle_fails_and_is_named() -> None:
    assert budgets.cycle_row({}).state == OK
    row = budgets.cycle_row(
        {"tokenbooth.b": frozenset({"tokenbooth.a"}), "tokenbooth.a": frozenset()}
    )
    assert (row.today, row.state, row.where) == ("2", OVER, "tokenbooth.a, tokenbooth.b")


def test_cycles_are_found_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "loopedpackage"
    package.mkdir()
    for name, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        (package / f"{name}.py").write_text(f"import loopedpackage.{imported}\n")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert set(budgets.import_cycles("loopedpackage")) == {
        "loopedpackage.a",
        "loopedpackage.b",
        "loopedpackage.c",
    }


@pytest.mark.parametrize(("tests", "state", "today"), [(15, OK, "150 %"), (14, OVER, "140 %")])
def test_tests_are_held_against_the_product(tests: int, state: str, today: str) -> None:
    row = budgets.ratio_row([source("tests/unit/a.py", tests), source("tokenbooth/a.py", 10)])
    assert (row.state, row.today) == (state, today)


def test_dependencies_are_counted_once_without_the_project_itself() -> None:
    project = {
        "name": "tokenbooth",
        "dependencies": ["a>=1", "B[x]==2; python_version > '3'", "c"],
        "optional-dependencies": {"e": ["a", "d ~= 1"], "up": ["tokenbooth[e]"]},
    }
    row = budgets.dependency_row({"project": project})
    assert (row.today, row.state) == ("4", OK)
    many = project | {"dependencies": [f"p{number}" for number in range(26)]}
    assert budgets.dependency_row({"project": many}).state == OVER


def report(**files: tuple[int, int, int, int]) -> str:
    names = ("num_statements", "num_branches", "missing_lines", "missing_branches")
    return json.dumps(
        {
            "files": {
                path: {"summary": dict(zip(names, counts, strict=True))}
                for path, counts in files.items()
            }
        }
    )


def test_coverage_looks_at_rules_protocols_and_money_only() -> None:
    row = budgets.coverage_row(
        report(
            **{
                "tokenbooth/gateway/rules.py": (10, 10, 0, 0),
                "tokenbooth/gateway/serve.py": (10, 10, 10, 10),
                "tokenbooth/rules.py": (10, 0, 0, 0),
            }
        )
    )
    assert (row.today, row.state, row.where) == ("100.0 %", OK, "-")


@pytest.mark.parametrize(
    "path",
    [
        "tokenbooth/access/keys/rules.py",
        "tokenbooth/protocols/openai_chat/read.py",
        "tokenbooth/money/ledger/sql.py",
        "tokenbooth/core/money.py",
    ],
)
def test_one_missed_branch_fails_and_names_the_file(path: str) -> None:
    row = budgets.coverage_row(report(**{path: (999, 1, 0, 1)}))
    assert (row.today, row.state, row.where) == ("99.9 %", OVER, f"{path} misses 1")


def test_a_rule_that_no_test_loads_is_named() -> None:
    seen = report(**{"tokenbooth/gateway/rules.py": (10, 10, 0, 0)})
    row = budgets.coverage_row(seen, ["tokenbooth/gateway/rules.py", "tokenbooth/gateway/serve.py"])
    assert row.state == OK
    row = budgets.coverage_row(seen, ["tokenbooth/gateway/rules.py", "tokenbooth/money/new.py"])
    assert (row.state, row.where) == (OVER, "tokenbooth/money/new.py was never loaded")


def test_coverage_that_was_not_measured_is_said_so() -> None:
    assert budgets.coverage_row(None).today == "not measured"


def test_the_table_is_aligned_plain_text() -> None:
    text = budgets.table([Row("a", "1", "22", OK, "x"), Row("bbb", "1000", "2", OVER, "y")])
    lines = text.splitlines()
    assert lines[0].split() == ["Budget", "Today", "Limit", "State", "Where"]
    assert {line.index(last) for line, last in zip(lines, ("Where", "x", "y"), strict=True)} == {
        lines[0].index("Where")
    }
    assert "\x1b" not in text


def test_the_budgets_of_this_checkout_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    status = budgets.main()
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 13
    assert status == int(f" {OVER} " in shown)
