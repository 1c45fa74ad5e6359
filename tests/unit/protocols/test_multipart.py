"""Bodies of forms with files: read strictly, never past their own end."""

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.protocols.multipart import HEAD_BYTES_MAX, PARTS_MAX, Part, parts_of

TYPE = "multipart/form-data; boundary=xyz"


def form(*parts: tuple[str, bytes]) -> bytes:
    """Each part by its disposition and content."""
    made = b"".join(
        b"--xyz\r\nContent-Disposition: form-data%s\r\n\r\n%s\r\n" % (said.encode(), content)
        for said, content in parts
    )
    return made + b"--xyz--\r\n"


def test_fields_and_files_apart() -> None:
    raw = form(('; name="purpose"', b"batch"), ('; name="file"; filename="a.jsonl"', b"\0\r\n--x"))
    assert parts_of(raw, TYPE) == (
        Part("purpose", None, b"batch"),
        Part("file", "a.jsonl", b"\0\r\n--x"),
    )
    assert parts_of(form(), TYPE) == ()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"a\"b", 'a"b'),
        ("a%22b", 'a"b'),
        (r"a\\b", r"a\b"),
        ("naïve.txt", "naïve.txt"),
        ("", ""),
    ],
)
def test_names_lose_their_escapes(written: str, name: str) -> None:
    (part,) = parts_of(form((f'; name="file"; filename="{written}"', b"x")), TYPE)
    assert part.file_name == name


@pytest.mark.parametrize(
    "kind", ["application/json", "", "multipart/form-data", "multipart/mixed; boundary=xyz"]
)
def test_another_type_is_refused_by_its_header(kind: str) -> None:
    with pytest.raises(Problem) as caught:
        parts_of(form(), kind)
    assert (caught.value.code, caught.value.param) == (Code.WRONG_TYPE, "content-type")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"preamble\r\n" + form(),
        form()[:5],
        b"--xyz",
        form(('; name="a"', b"x"))[:-12],
        b"--xyz\r\nno headers\r\n--xyz--",
        b'--xyz\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--xyz--',
        form(("", b"x")),
        b"--xyz\r\nX: y\r\n\r\nx\r\n--xyz--",
        form(*[('; name="a"', b"x")] * (PARTS_MAX + 1)),
        form(('; name="a"' + " " * HEAD_BYTES_MAX, b"x")),
    ],
)
def test_what_is_no_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parts_of(raw, TYPE)
    assert caught.value.code is Code.INVALID_VALUE


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["C"]), min_size=1))
def test_what_a_client_sends_comes_out_again(content: bytes, text: str) -> None:
    files = {"file": ("a.bin", content)}
    sent = httpx2.Request("POST", "http://x", data={"purpose": text}, files=files)
    parts = {part.name: part for part in parts_of(sent.read(), sent.headers["content-type"])}
    assert parts["file"] == Part("file", "a.bin", content)
    assert parts["purpose"].content.decode() == text


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    for raw in (noise, b"--xyz\r\n" + noise, form(('; name="a"', noise))[:-3] + noise):
        try:
            size = sum(len(part.content) for part in parts_of(raw, TYPE))
        except Problem as problem:
            size = 0 if problem.code is Code.INVALID_VALUE else len(raw) + 1
        assert size <= len(raw)
