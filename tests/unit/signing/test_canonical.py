"""One document has one form, and what has no safe form is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.signing.canonical import WHOLE_MAX, NotCanonical, canonical, whole

NAMES = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-WHOLE_MAX, WHOLE_MAX)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({}, b"{}"),
        ([], b"[]"),
        (None, b"null"),
        ([True, False, None], b"[true,false,null]"),
        ([0, -1, WHOLE_MAX, -WHOLE_MAX], b"[0,-1,9007199254740991,-9007199254740991]"),
        ({"b": 1, "a": {"d": [], "c": ""}}, b'{"a":{"c":"","d":[]},"b":1}'),
        ({"10": 1, "1": 2, "9": 3, "A": 4, "_": 5, "a": 6}, None),
        ('€$\u000f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode()),
        ("\b\t\n\f\r\x00\x1f\x7f\u2028", '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028"'.encode()),
        ("\U0001f600 ö דּ", '"\U0001f600 ö דּ"'.encode()),
    ],
)
def test_the_form_is_the_known_one(value: object, written: bytes | None) -> None:
    """The texts with escapes stand in RFC 8785, sections 3.2.2 and 3.2.3."""
    known = b'{"1":2,"10":1,"9":3,"A":4,"_":5,"a":6}' if written is None else written
    assert canonical(value) == known


@given(DOCUMENTS)
def test_the_form_is_that_of_an_independent_writer(value: object) -> None:
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == plain.encode()


@given(DOCUMENTS)
def test_reading_and_writing_again_changes_nothing(value: object) -> None:
    once = canonical(value)
    assert canonical(json.loads(once)) == once
    assert json.loads(once) == value


@given(st.dictionaries(NAMES, SCALARS, max_size=6), st.randoms())
def test_the_order_of_members_does_not_matter(value: dict[str, object], random: object) -> None:
    names = list(value)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert canonical({name: value[name] for name in names}) == canonical(value)


@given(DOCUMENTS, DOCUMENTS)
def test_different_documents_have_different_forms(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == (repr_of(one) == repr_of(other))


def repr_of(value: object) -> str:
    """True and 1 are equal in Python and not in JSON."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k!r}:{repr_of(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(repr_of, value)) + "]"
    return repr(value)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1.5, "float has no canonical form"),
        ({"a": [1.0]}, "float has no canonical form"),
        (float("nan"), "float has no canonical form"),
        (b"bytes", "bytes has no canonical form"),
        ((1, 2), "tuple has no canonical form"),
        (Text("x"), "Text has no canonical form"),
        ({1, 2}, "set has no canonical form"),
        (WHOLE_MAX + 1, "9007199254740992 is beyond"),
        ([-WHOLE_MAX - 1], "-9007199254740992 is beyond"),
        ({"ä": 1}, "'ä' is not plain ASCII"),
        ({"\ue000": 1, "\U0001f600": 2}, "is not plain ASCII"),
        ({1: 2}, "the name 1 is not plain ASCII"),
        ({Text("a"): 1}, "is not plain ASCII"),
        ("\ud800", "a lone surrogate is no text"),
        ([{"a": "x\udfff"}], "a lone surrogate is no text"),
    ],
)
def test_what_has_no_safe_form_is_refused(value: object, why: str) -> None:
    with pytest.raises(NotCanonical, match=why):
        canonical(value)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, 0),
        (WHOLE_MAX, WHOLE_MAX),
        (-WHOLE_MAX, -WHOLE_MAX),
        (WHOLE_MAX + 1, "9007199254740992"),
        (-WHOLE_MAX - 1, "-9007199254740992"),
        (2**63 - 1, "9223372036854775807"),
    ],
)
def test_a_number_that_readers_would_bend_becomes_a_string(number: int, written: int | str) -> None:
    assert whole(number) == written
    assert canonical(whole(number))


@given(st.integers(-(2**80), 2**80))
def test_a_whole_number_is_read_back_exactly(number: int) -> None:
    assert int(whole(number)) == number
    assert json.loads(canonical([whole(number)])) == [whole(number)]
