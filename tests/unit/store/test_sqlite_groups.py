"""Random mixtures of good and bad verbs: each gets its own answer, whatever shares its commit."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.support.stores import fresh_options
from tokenbooth.core.codes import Code
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.store.open import open_store
from tokenbooth.store.options import StoreBounds

ADD = text("INSERT INTO replica VALUES (:id, 1, 0, '', 0, 0, 0)")
COUNT = text("SELECT count(*) FROM replica")


def good(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        tx.execute(ADD, {"id": name})
        return name

    return verb


def refuses_late(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        tx.execute(ADD, {"id": f"{name}_undone"})
        raise Problem(Code.CAP_REACHED, name)

    return verb


def breaks(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        tx.execute(ADD, {"id": f"{name}_undone"})
        raise ZeroDivisionError(name)

    return verb


def repeats(name: str) -> Callable[[Tx], str]:
    """The second row breaks the primary key; the first must go with it."""

    def verb(tx: Tx) -> str:
        for _ in range(2):
            tx.execute(ADD, {"id": f"{name}_undone"})
        return name

    return verb


def reads_its_own(name: str) -> Callable[[Tx], str]:
    def verb(tx: Tx) -> str:
        before = tx.execute(COUNT).scalar()
        tx.execute(ADD, {"id": name})
        assert tx.execute(COUNT).scalar() == before + 1
        return name

    return verb


EXPECTED: dict[Callable[[str], Callable[[Tx], str]], type] = {
    good: str,
    reads_its_own: str,
    refuses_late: Problem,
    breaks: ZeroDivisionError,
    repeats: IntegrityError,
}


@settings(max_examples=20, deadline=None, database=None)
@given(
    kinds=st.lists(st.sampled_from(list(EXPECTED)), max_size=40),
    group_max=st.integers(1, 12),
)
def test_each_verb_is_answered_for_itself(
    kinds: list[Callable[[str], Callable[[Tx], str]]], group_max: int
) -> None:
    named = [(kind, f"verb_{number:02}") for number, kind in enumerate(kinds)]

    async def scene(directory: str) -> tuple[list[object], list[str]]:
        store = open_store(fresh_options(Path(directory)), StoreBounds(group_max=group_max))
        results = await asyncio.gather(
            *(store.write(kind(name)) for kind, name in named), return_exceptions=True
        )
        rows = await store.read(
            lambda tx: [row.id for row in tx.execute(text("SELECT id FROM replica ORDER BY id"))]
        )
        await store.close()
        return results, rows

    with tempfile.TemporaryDirectory() as directory:
        results, rows = asyncio.run(scene(directory))
    assert [type(result) for result in results] == [EXPECTED[kind] for kind in kinds]
    assert rows == [name for kind, name in named if EXPECTED[kind] is str]
    for (_, name), result in zip(named, results, strict=True):
        if not isinstance(result, IntegrityError):
            assert name in str(result), "nobody gets a neighbour's answer"
