"""One parameter of many texts becomes rows with their places, on SQLite and elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.support.settled import Desk, opened_desk
from tests.support.stores import fresh_options
from tokenbooth.store.listing import listed, listing

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    max_size=40,
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with opened_desk(fresh_options(tmp_path)) as opened:
        yield opened


def unfolded(desk: Desk, texts: list[str]) -> list[tuple[int, str]]:
    rows = listing("texts")
    statement = select(rows.c.key, rows.c.value).order_by(rows.c.key)
    return desk.read(
        lambda _op, tx: [tuple(row) for row in tx.execute(statement, {"texts": listed(texts)})]
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(TEXTS)
def test_every_text_comes_back_at_its_place(desk: Desk, texts: list[str]) -> None:
    assert unfolded(desk, texts) == list(enumerate(texts))


def test_there_may_be_thousands(desk: Desk) -> None:
    texts = [f"req_{number:032x}" for number in range(5000)]
    assert unfolded(desk, texts) == list(enumerate(texts))


def test_no_text_is_taken_for_anything_else(desk: Desk) -> None:
    texts = ["'", '"', "]", "null", "1", "{}", "a,b", "'); DROP TABLE call_record; --"]
    assert unfolded(desk, texts) == list(enumerate(texts))
