"""One object in, or a named refusal; never a recursion, never two meanings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.strict_json import DEPTH_MAX, NUMBER_CHARS_MAX, quoted, read_object


def refused(raw: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        read_object(raw)
    assert caught.value.code is Code.MALFORMED_JSON
    return caught.value


def test_reads_an_object() -> None:
    raw = b' {"a": [1, -2.5, "x", null, true], "b": {"c": "\\u00e9\\ud83d\\ude00"}} \n'
    assert read_object(raw) == {"a": [1, -2.5, "x", None, True], "b": {"c": "é😀"}}


@pytest.mark.parametrize("raw", [b"", b" \r\n\t "])
def test_empty_body(raw: bytes) -> None:
    assert "empty" in refused(raw).public


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"[]", "an array"),
        (b'"x"', "a string"),
        (b"true", "a boolean"),
        (b"1", "a number"),
        (b"1.5", "a number"),
        (b"null", "null"),
    ],
)
def test_other_than_an_object(raw: bytes, named: str) -> None:
    assert f"not {named}." in refused(raw).public


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a":1} x', "Extra data at character 8"),
        (b'{"a":1}{"a":2}', "Extra data"),
        (b'{"a":}', "Expecting value"),
        (b'{"a":"', "Unterminated string"),
        (b'{"a":"\\', "Unterminated string"),
        (b'{"a":"\n"}', "control character"),
        (b'{"a":"\\x"}', "escape"),
        (b'\xef\xbb\xbf{"a":1}', "Expecting value at character 0"),
        (b"{'a':1}", "double quotes"),
        (b'{"a":1,}', "at character"),  # each Python words this one differently
        (b'{"a":01}', "delimiter"),
    ],
)
def test_syntax_errors_say_where(raw: bytes, says: str) -> None:
    assert says in refused(raw).public


def test_invalid_utf8_says_where() -> None:
    assert "at byte 6" in refused(b'{"a":"\xff"}').public
    refused(b'{"a":"\xed\xa0\x80"}')


def test_duplicate_key_is_named() -> None:
    problem = refused(b'{"m":1,"n":{"temperature":1,"x":2,"temperature":0}}')
    assert problem.param == "temperature"
    assert '"temperature" appears twice' in problem.public


def test_broken_duplicate_key_is_quoted_safely() -> None:
    problem = refused(b'{"\\ud800\\n":1,"\\ud800\\n":1}')
    assert problem.param == "\\ud800\\n"
    assert problem.public.isascii()


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity"])
def test_numbers_outside_json(literal: bytes) -> None:
    assert literal.decode() in refused(b'{"a":%s}' % literal).public


def test_numbers_that_no_double_holds() -> None:
    assert "1e999" in refused(b'{"a":1e999}').public


@pytest.mark.parametrize("literal", [b"9" * 65, b"0." + b"1" * 64, b"1" * 100_000])
def test_long_numbers(literal: bytes) -> None:
    assert str(NUMBER_CHARS_MAX) in refused(b'{"a":%s}' % literal).public


def test_longest_number() -> None:
    assert read_object(b'{"a":%s}' % (b"9" * 64)) == {"a": int("9" * 64)}


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"a":"x\\u0000"}', "a"),
        (b'{"a":[{"b":["ok","\\u0000"]}]}', "a[0].b[1]"),
        (b'{"a":{"b\\u0000":1}}', "a"),
        (b'{"b\\u0000":1}', None),
    ],
)
def test_nul_is_refused_by_path(raw: bytes, param: str | None) -> None:
    problem = refused(raw)
    assert problem.param == param
    assert "NUL" in problem.public


@pytest.mark.parametrize("escape", [b"\\ud800", b"\\udfff", b"\\ude00\\ud83d"])
def test_lone_surrogates(escape: bytes) -> None:
    problem = refused(b'{"a":"%s"}' % escape)
    assert problem.param == "a"
    assert "surrogate" in problem.public


def test_escaped_backslash_before_u0000_is_text() -> None:
    assert read_object(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """An object whose depth is ``depth``."""
    return b'{"a":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"


def test_depth_bound() -> None:
    assert read_object(nested(DEPTH_MAX))["a"]
    assert "64 levels" in refused(nested(DEPTH_MAX + 1)).public
    assert "64 levels" in refused(nested(DEPTH_MAX + 1, b'{"a":', b"}")).public


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        nested(500_000),
        b'{"a":' + b"]" * 1000 + b"[" * 1000,
        b'{"a":"' + b"x" * 100 + b"[" * 100,
        b'{"a":"' + b'\\"' * 400_000 + b"[" * 100,
        b"[" * 65 + b'"' + b"\\" * 99_999,
    ],
)
def test_hostile_bodies_are_refused_without_recursion(raw: bytes) -> None:
    refused(raw)


def test_brackets_in_strings_do_not_count() -> None:
    text = "[{" * 500 + '"\\' + "}]" * 3
    assert read_object(json.dumps({"a": text}).encode()) == {"a": text}


def test_many_shallow_brackets_are_fine() -> None:
    assert len(read_object(b'{"a":[%s{}]}' % (b"[{}]," * 5000))["a"]) == 5001  # type: ignore[arg-type]


def test_mismatched_brackets_are_a_syntax_error() -> None:
    assert "not valid JSON" in refused(b'{"a":' + b"[}" * 70).public


def test_quotation_is_short_ascii() -> None:
    assert quoted("é") == '"\\u00e9"'
    assert quoted("x" * 64) == '"' + "x" * 64 + '"'
    assert quoted("x" * 65) == '"' + "x" * 64 + '\\u2026"'


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('abcé\\[{"'), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text('abc[]{}"\\'), JSON_VALUES), st.booleans())
def test_reads_what_json_writes(value: dict[str, object], ascii_only: bool) -> None:
    assert read_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_a_problem(raw: bytes) -> None:
    try:
        read = read_object(raw)
    except Problem:
        refused(raw)
    else:
        assert read == json.loads(raw)


def depth_of(value: object) -> int:
    """The plain recursive definition."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(st.lists(st.sampled_from(["list", "dict", "text"]), min_size=50, max_size=80))
def test_depth_is_that_of_the_plain_definition(shells: list[str]) -> None:
    value: object = 'x"]}['
    for shell in shells:
        if shell == "list":
            value = [[], value, "[{"]
        elif shell == "dict":
            value = {'"}': value, "[": {}}
    body = {"a": value}
    raw = json.dumps(body).encode()
    if depth_of(body) > DEPTH_MAX:
        assert "64 levels" in refused(raw).public
    else:
        assert read_object(raw) == body


@given(st.lists(st.sampled_from(list('[]{}",:\\a1')), max_size=300).map("".join))
def test_bracket_soup_is_never_read_otherwise_than_the_parser_reads_it(soup: str) -> None:
    raw = soup.encode()
    try:
        expected = json.loads(raw)
    except ValueError:
        refused(raw)
        return
    try:
        found: object = read_object(raw)
    except Problem:
        found = expected
    assert found == expected


@pytest.mark.parametrize("depth", [1, 2, 63, 64])
def test_wide_bodies_at_every_depth(depth: int) -> None:
    inner = b"[" * (depth - 1) + b"]" * (depth - 1) if depth > 1 else b"1"
    raw = b'{"a":%s%s}' % (inner, b"".join(b',"k%d":%s' % (n, inner) for n in range(200)))
    assert len(read_object(raw)) == 201
