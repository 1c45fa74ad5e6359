"""Rows as JSON lines: every value survives the way out and back in."""

import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select, text

from tests.support.stores import fresh_tx
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.store.dump import FORMAT, head_revision, read_rows, write_rows
from tokenbooth.store.revision import HEAD
from tokenbooth.store.tables.access import API_KEY, KEY_SECRET, ORGANIZATION, PROJECT
from tokenbooth.store.tables.catalog import DEPLOYMENT, MODEL
from tokenbooth.store.tables.metadata import INT64_MAX

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
BY = {"created_us": 1, "created_by": "me"}


def written(directory: Path, *rows: tuple[object, dict[str, object]]) -> str:
    with fresh_tx(directory) as tx:
        for table, row in rows:
            tx.execute(insert(table), row)
        stream = io.StringIO()
        assert write_rows(tx, stream) == len(rows)
        return stream.getvalue()


def organization(name: str, number: int) -> tuple[object, dict[str, object]]:
    limits = {"requests_per_minute": 1, "tokens_per_minute": number, "parallel_calls": 3}
    return ORGANIZATION, {"id": "o", "name": name, **limits, **BY}


@settings(max_examples=25, deadline=None, database=None)
@given(name=NAMES, number=st.integers(1, INT64_MAX), sealed=st.none() | st.binary(max_size=64))
def test_every_value_comes_back(name: str, number: int, sealed: bytes | None) -> None:
    rows = (
        organization(name, number),
        (PROJECT, {"id": "p", "org_id": "o", "name": name, **BY}),
        (MODEL, {"id": "m", "name": name, "context_tokens": None, **BY}),
        (
            DEPLOYMENT,
            {
                "id": "d",
                "model_id": "m",
                "position": 0,
                "engine": "upstream",
                "upstream_key_sealed": sealed,
                "concurrency_max": 1,
                "queue_max": 0,
                "queue_wait_max_s": 0,
                "options": "{}",
            },
        ),
    )
    with tempfile.TemporaryDirectory() as directory:
        first = Path(directory)
        out = written(first, *rows)
        with fresh_tx(first) as tx:
            stream = io.StringIO(out)
            assert head_revision(stream) == HEAD
            assert read_rows(tx, stream) == len(rows)
            for table, row in rows:
                found = dict(tx.execute(select(table)).mappings().one())
                assert {key: found[key] for key in row} == row


def test_rows_stand_in_an_order_that_foreign_keys_accept(tmp_path: Path) -> None:
    out = written(
        tmp_path,
        organization("o", 1),
        (PROJECT, {"id": "p", "org_id": "o", "name": "p", **BY}),
        (
            API_KEY,
            {"id": "k", "org_id": "o", "project_id": "p", "name": "k", "scopes": "read", **BY},
        ),
        (
            KEY_SECRET,
            {
                "secret_hmac": b"\x01" * 32,
                "key_id": "k",
                "prefix": "tb",
                "last_four": "abcd",
                **BY,
            },
        ),
    )
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[0] == {"format": FORMAT, "revision": HEAD}
    assert [line["table"] for line in lines[1:-1]] == [
        "organization",
        "project",
        "api_key",
        "key_secret",
    ]
    assert lines[-1] == {"rows": 4}
    assert lines[4]["row"]["secret_hmac"] == {"hex": "01" * 32}


def test_an_empty_database_is_a_head_and_an_end(tmp_path: Path) -> None:
    assert len(written(tmp_path).splitlines()) == 2


def test_a_database_older_than_the_program_is_copied_and_put_back_as_it_is(tmp_path: Path) -> None:
    """A copy is made before a migration, so it must not ask for what the migration will add."""
    with fresh_tx(tmp_path) as tx:
        tx.execute(text("ALTER TABLE project DROP COLUMN data_terms"))
        tx.execute(text("DROP TABLE catalog_revision"))
        tx.execute(insert(ORGANIZATION), organization("o", 1)[1])
        tx.execute(text("INSERT INTO project VALUES ('1', 'o', '2', 3, 'me')"))
        stream = io.StringIO()
        assert write_rows(tx, stream) == 2
        row = json.loads(stream.getvalue().splitlines()[2])["row"]
        assert row == {
            "id": "1",
            "org_id": "o",
            "name": "2",
            "created_us": 3,
            "created_by": "me",
        }
        tx.execute(text("DELETE FROM project"))
        tx.execute(text("DELETE FROM organization"))
        stream.seek(0)
        head_revision(stream)
        assert read_rows(tx, stream) == 2


@pytest.mark.parametrize(
    "head", ["", "{}", "[]", "no json", '{"format": "other", "revision": "1"}', '{"revision": 1}']
)
def test_a_file_of_another_kind_is_refused(head: str) -> None:
    with pytest.raises(Problem) as refused:
        head_revision(io.StringIO(head + "\n"))
    assert refused.value.code is Code.INVALID_VALUE


@pytest.mark.parametrize("keep", range(4))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, keep: int) -> None:
    lines = written(
        tmp_path, organization("o", 1), (PROJECT, {"id": "p", "org_id": "o", "name": "p", **BY})
    ).splitlines(keepends=True)
    assert len(lines) == 4
    rest = io.StringIO("".join(lines[:keep])[:-3])

    def take(tx: Connection) -> None:
        head_revision(rest)
        read_rows(tx, rest)

    with fresh_tx(tmp_path) as tx, pytest.raises(Problem) as refused:
        take(tx)
    assert refused.value.code is Code.INVALID_VALUE
