"""What was asked and answered, sealed for its own place, and what callers are told without it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.booth import Noise
from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.rules import (
    chain_too_long,
    not_found,
    packed,
    previous_not_found,
    still_running,
    unpacked,
)
from tokenbooth.content.responses.service import Content, StoredResponse
from tokenbooth.core.codes import Code

KEY = b"k" * 32


def stored(sealed: bytes, response_id: str = "resp_1") -> StoredResponse:
    return StoredResponse(
        org_id="org_1",
        project_id="proj_1",
        response_id=response_id,
        previous_id=None,
        background=False,
        running=False,
        replica_id="rep_a",
        epoch=1,
        created_us=0,
        expires_us=1,
        cancelled=False,
        sealed=sealed,
    )


@given(st.binary(), st.binary())
def test_content_comes_back_as_it_was(items: bytes, response: bytes):
    content = Content(items, response)
    assert unpacked(packed(content)) == content
    assert content.size_bytes == len(items) + len(response)


def test_other_bytes_are_no_content():
    with pytest.raises(msgspec.DecodeError):
        unpacked(b"\x93\x01\x02\x03")


def test_content_opens_only_in_its_own_row_and_under_its_own_key():
    content = Content(b'["a question"]', b'{"an":"answer"}')
    sealed = responses.sealed_content(content, "proj_1", "resp_1", KEY, Noise())
    assert b"question" not in sealed
    assert responses.content_of(stored(sealed), KEY) == content
    assert responses.content_of(stored(sealed, "resp_2"), KEY) is None
    assert responses.content_of(stored(sealed), b"x" * 32) is None
    assert "question" not in repr(content)


@pytest.mark.parametrize(
    ("problem", "code", "param"),
    [
        (not_found("resp_1"), Code.RESPONSE_NOT_FOUND, None),
        (previous_not_found("resp_1", "resp_1"), Code.PREVIOUS_RESPONSE_NOT_FOUND, "previous"),
        (previous_not_found("resp_2", "resp_1"), Code.PREVIOUS_RESPONSE_NOT_FOUND, "previous"),
        (chain_too_long("resp_1", 9), Code.INVALID_VALUE, "previous"),
        (still_running("resp_1", "previous_response_id"), Code.STATE_CONFLICT, "previous"),
    ],
)
def test_callers_are_told_which_response_it_is_about(problem, code, param):
    assert problem.code is code
    assert problem.param == (param and "previous_response_id")
    assert "resp_1" in problem.public


def test_what_another_response_goes_on_from_is_named_with_it():
    assert "'resp_1', which 'resp_2' goes on from" in previous_not_found("resp_2", "resp_1").public


@given(st.text(st.characters()))
def test_sealed_reasoning_opens_for_its_project_alone(text: str):
    sealed = responses.sealed_thought(text, "proj_1", KEY, Noise())
    assert responses.thought_of(sealed, "proj_1", KEY) == text
    assert responses.thought_of(sealed, "proj_2", KEY) is None
    assert responses.thought_of(sealed, "proj_1", b"x" * 32) is None


@pytest.mark.parametrize("strange", ["", "a", "é", "AAAA", "gAAAAA" * 40, "====", "\ud800"])
def test_other_reasoning_is_not_opened(strange: str):
    assert responses.thought_of(strange, "proj_1", KEY) is None
