"""Files of receipts are judged without a booth, whatever is in them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.signed import KEY, OTHER_KEY, booked, signed
from tokenbooth.control.verification import (
    LINE_BYTES_MAX,
    TOLD_LINES_MAX,
    trusted_keys,
    verdict_json,
    verify_file,
)
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.receipts.checking import leaf_of_document
from tokenbooth.money.receipts.statements import Tally, statement_json
from tokenbooth.money.receipts.values import Span

HEX = KEY.public.hex()
TRUSTED = frozenset({KEY.public})
SPAN = Span("org_a", 0, 2**52)


def statement_of(count: int) -> list[dict[str, Any]]:
    documents = signed([booked(number) for number in range(1, count + 1)])
    tally = Tally()
    for document in documents:
        tally.add(leaf_of_document(document), "USD", document["amount_nano"])
    return [*documents, statement_json(tally, SPAN, 7, KEY)]


def file_of(directory: Path, documents: Sequence[Any], end: str = "\n") -> Path:
    path = directory / "receipts.jsonl"
    path.write_text("".join(json.dumps(each) + end for each in documents))
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_one_receipt_may_stand_on_one_line_or_on_many(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "receipt.json"
    (document,) = signed([booked()])
    path.write_text(json.dumps(document, indent=indent))
    verdict = verify_file(path, TRUSTED)
    assert verdict.ok
    assert (verdict.what, verdict.receipts, len(verdict.steps)) == ("receipt", 1, 5)
    document["reason"] += "!"
    path.write_text(json.dumps(document, indent=indent))
    assert not verify_file(path, TRUSTED).ok


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n \n"])
def test_a_statement_is_read_line_by_line(tmp_path: Path, end: str) -> None:
    verdict = verify_file(file_of(tmp_path, statement_of(3), end), TRUSTED)
    assert verdict.ok
    assert (verdict.what, verdict.receipts, verdict.bad) == ("statement", 3, 0)
    assert verdict.steps[2].told.startswith("3 receipts, ")


def test_a_statement_may_be_only_its_last_line(tmp_path: Path) -> None:
    tally = Tally()
    verdict = verify_file(file_of(tmp_path, [statement_json(tally, SPAN, 7, KEY)]), TRUSTED)
    assert (verdict.ok, verdict.what, verdict.receipts) == (True, "statement", 0)


def test_a_cut_statement_is_not_whole(tmp_path: Path) -> None:
    for lines in (statement_of(3)[:-1], statement_of(3)[1:]):
        assert not verify_file(file_of(tmp_path, lines), TRUSTED).ok


def test_bad_lines_are_named_by_their_number(tmp_path: Path) -> None:
    lines = statement_of(4)
    lines[1]["amount"] = "0.000000001"
    verdict = verify_file(file_of(tmp_path, lines), TRUSTED)
    assert (verdict.ok, verdict.bad) == (False, 1)
    ((line, steps),) = [(bad.line, bad.steps) for bad in verdict.bad_lines]
    assert (line, [step.name for step in steps]) == (2, ["amount", "inclusion"])
    assert [step.name for step in verdict.steps if not step.ok] == ["sum"]


def test_only_the_first_bad_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("no json\n" * (TOLD_LINES_MAX + 5))
    verdict = verify_file(path, TRUSTED)
    assert (verdict.bad, len(verdict.bad_lines)) == (TOLD_LINES_MAX + 4, TOLD_LINES_MAX)
    assert not verdict.ok
    assert "JSON" in verdict.steps[0].told


def test_a_line_without_end_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text('{"object": "' + "x" * (3 * LINE_BYTES_MAX))
    verdict = verify_file(path, TRUSTED)
    assert not verdict.ok
    assert verdict.bad == 3


@pytest.mark.parametrize("content", ["", "\n\n", " "])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty"
    path.write_text(content)
    with pytest.raises(Problem) as refused:
        verify_file(path, TRUSTED)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "file")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        verify_file(tmp_path / "none", TRUSTED)
    assert "No such file" in refused.value.public


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        found = verify_file(path, TRUSTED).ok
    except Problem as refused:
        found = refused.code is not Code.INVALID_VALUE
    assert not found


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_changed_byte_of_a_statement_is_found(tmp_path: Path, data: st.DataObject) -> None:
    content = file_of(tmp_path, statement_of(2)).read_bytes()
    place = data.draw(st.integers(0, len(content) - 2))
    byte = data.draw(st.integers(0, 255))
    changed = content[:place] + bytes([byte]) + content[place + 1 :]
    path = tmp_path / "changed"
    path.write_bytes(changed)
    same = [json.loads(line) for line in content.split(b"\n") if line]
    try:
        read = [json.loads(line) for line in changed.split(b"\n") if line.strip()]
    except ValueError:
        read = []
    assert verify_file(path, TRUSTED).ok == (read == same)


def test_keys_are_named_by_digits_by_file_or_by_document(tmp_path: Path) -> None:
    both = {KEY.public, OTHER_KEY.public}
    assert trusted_keys(None) == frozenset()
    assert trusted_keys(HEX) == trusted_keys(HEX.upper()) == TRUSTED
    path = tmp_path / "keys"
    path.write_text(f"{HEX}\n{OTHER_KEY.public.hex()}\n")
    assert trusted_keys(str(path)) == both
    listed = {"data": [{"public_key": HEX}, {"public_key": OTHER_KEY.public.hex()}]}
    path.write_text(json.dumps(listed, indent=2))
    assert trusted_keys(str(path)) == both


@pytest.mark.parametrize(
    "content",
    [
        "",
        "x",
        HEX[:-1],
        f"{HEX} x",
        "{}",
        '{"data": []}',
        '{"data": 7}',
        '{"data": ["x"]}',
        '{"data": [{"public_key": 7}]}',
        '{"data": [{}]}',
        "é" * 64,
        "g" * 64,
    ],
)
def test_what_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(Problem) as refused:
        trusted_keys(str(path))
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "key")


def test_a_key_file_that_is_no_json_after_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("{")
    with pytest.raises(Problem):
        trusted_keys(str(path))
    with pytest.raises(Problem) as refused:
        trusted_keys(HEX[:-1])
    assert "no public key and no file" in refused.value.public


def test_a_verdict_reads_as_a_document(tmp_path: Path) -> None:
    lines = statement_of(2)
    lines[0]["reason"] = "x"
    told = verdict_json(verify_file(file_of(tmp_path, lines), ()))
    assert (told["verified"], told["bad"], told["receipts"]) == (False, 1, 2)
    assert told["bad_lines"][0]["line"] == 1
    assert told["bad_lines"][0]["steps"][0]["name"] == "inclusion"
    assert json.loads(json.dumps(told)) == told
