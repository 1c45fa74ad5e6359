"""Rules that look at more than one file find their planted violations."""

from checks.source import Source
from checks.tidy import rooms
from checks.tidy.testing import asserting_functions, missing_assertion

WHOLE = "**Owns** a. **Does not own** b. **Invariants** c."


def without_assertion(*sources: Source) -> list[str]:
    asserting = asserting_functions(sources)
    return [f.subject for source in sources for f in missing_assertion(source, asserting)]


def test_a_test_that_asserts_nothing_is_found() -> None:
    text = "def test_a():\n    run()\n\nclass TestB:\n    def test_b(self): ...\n"
    assert without_assertion(Source("tests/test_x.py", text)) == ["test_a", "TestB.test_b"]


def test_a_test_may_assert_itself_or_expect_an_error() -> None:
    text = (
        "def test_a():\n    assert run()\n"
        "def test_b():\n    with pytest.raises(ValueError): run()\n"
        "def test_c():\n    raise AssertionError\n"
    )
    assert without_assertion(Source("tests/test_x.py", text)) == []


def test_a_test_may_assert_through_functions_of_other_test_files() -> None:
    shared = Source(
        "tests/contract.py", "def balanced(b):\n    assert b\ndef whole(c):\n    balanced(c)"
    )
    text = (
        "def test_a():\n    whole(1)\n"
        "def test_b():\n    asyncio.run(whole(1))\n"
        "def test_c():\n    other()"
    )
    assert without_assertion(shared, Source("tests/test_x.py", text)) == ["test_c"]


def test_a_check_that_is_handed_on_counts() -> None:
    shared = Source("tests/contract.py", "def balanced(b):\n    assert b")
    assert (
        without_assertion(shared, Source("tests/test_x.py", "def test_a():\n    run(balanced)"))
        == []
    )


def test_only_test_files_and_top_level_tests_are_looked_at() -> None:
    nested = "def test_a():\n    def test_inner(): ...\n    assert 1 == one()"
    assert without_assertion(Source("tests/test_x.py", nested)) == []
    assert without_assertion(Source("tests/conftest.py", "def test_a(): ...")) == []


def test_a_room_is_a_folder_below_the_package() -> None:
    paths = ("tokenbooth/money/ledger/sql.py", "tokenbooth/config.py", "tests/unit/x.py")
    assert rooms.rooms(Source(path, "") for path in paths) == {"tokenbooth/money"}


def test_a_readme_without_its_three_parts_is_found() -> None:
    assert [f.subject for f in rooms.room_readme("tokenbooth/money", None)] == [
        "Owns",
        "Does not own",
        "Invariants",
    ]
    partial = WHOLE.replace("**Invariants**", "Invariants")
    assert [f.subject for f in rooms.room_readme("tokenbooth/money", partial)] == ["Invariants"]
    assert list(rooms.room_readme("tokenbooth/money", WHOLE)) == []


def test_a_code_that_nothing_uses_is_found() -> None:
    sources = [
        Source("tokenbooth/edge/a.py", "raise Problem(Code.USED, 'x')"),
        Source("tokenbooth/core/codes.py", "Code.ONLY_HERE"),
        Source("tests/unit/test_a.py", "Code.ONLY_TESTED"),
    ]
    codes = {"USED": "used", "ONLY_HERE": "here", "ONLY_TESTED": "tested"}
    assert [f.subject for f in rooms.codes_used(codes, sources)] == ["ONLY_HERE", "ONLY_TESTED"]


def test_a_code_that_is_not_documented_is_found() -> None:
    found = rooms.codes_documented({"A": "one", "B": "two"}, "| `one` | two |")
    assert [f.subject for f in found] == ["B"]


def test_a_function_that_nothing_uses_is_found() -> None:
    sources = [
        Source(
            "tokenbooth/edge/a.py",
            "def used(): ...\ndef dead(): ...\n@app.command\ndef registered(): ...\n"
            "def _private(): ...\nclass Lost:\n    def method(self): ...\n__all__ = ['dead']",
        ),
        Source("tokenbooth/edge/b.py", "from tokenbooth.edge.a import dead\na.used()"),
        Source("tests/unit/test_a.py", "dead()"),
    ]
    assert [f.subject for f in rooms.dead_functions(sources)] == ["dead", "Lost"]


def test_a_function_used_under_another_name_is_alive() -> None:
    sources = [
        Source("tokenbooth/edge/a.py", "def shown(): ..."),
        Source("tokenbooth/edge/b.py", "from tokenbooth.edge.a import shown as other\nother()"),
    ]
    assert list(rooms.dead_functions(sources)) == []
