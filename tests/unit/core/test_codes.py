import re

import pytest

from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import NO_FACTS, Problem


def test_the_kinds_are_the_fourteen_of_the_contract() -> None:
    assert {kind.value for kind in Kind} == {
        "invalid_request",
        "unauthenticated",
        "payment_required",
        "forbidden",
        "not_found",
        "conflict",
        "too_large",
        "rate_limited",
        "blocked",
        "overloaded",
        "upstream_failed",
        "timeout",
        "unsupported",
        "internal",
    }


def test_every_kind_has_a_code() -> None:
    assert {code.kind for code in Code} == set(Kind)


def test_no_two_codes_share_a_text() -> None:
    texts = [code.text for code in Code]
    assert len(texts) == len(set(texts))
    assert len(Code.__members__) == len(list(Code))


@pytest.mark.parametrize("code", list(Code))
def test_a_code_is_stable_text_with_one_sentence_and_a_cure(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code.text)
    assert code.value.meaning.endswith(".")
    assert code.value.cure.endswith(".")
    assert code.value.meaning != code.value.cure


def test_the_texts_that_clients_know_are_never_renamed() -> None:
    """What the official clients and their users match on."""
    assert Code.BALANCE_EXHAUSTED.text == "insufficient_quota"
    assert Code.INVALID_KEY.text == "invalid_api_key"
    assert Code.MODEL_NOT_FOUND.text == "model_not_found"
    assert Code.CONTEXT_LENGTH_EXCEEDED.text == "context_length_exceeded"
    assert Code.RATE_LIMITED.text == "rate_limit_exceeded"


def test_a_problem_keeps_what_the_client_and_what_the_log_may_see_apart() -> None:
    problem = Problem(
        Code.CAP_REACHED,
        "The cap is reached.",
        param="model",
        detail="limit row 7",
        retry_after_s=3,
        facts={"limit": 5},
    )
    assert str(problem) == "The cap is reached."
    assert problem.kind is Kind.PAYMENT_REQUIRED
    assert "limit row 7" not in repr(problem)
    assert repr(problem) == "Problem(CAP_REACHED, 'The cap is reached.', param='model')"
    assert (problem.detail, problem.retry_after_s, problem.facts) == (
        "limit row 7",
        3,
        {"limit": 5},
    )


def test_a_problem_has_no_facts_by_default_and_they_cannot_be_shared_by_accident() -> None:
    problem = Problem(Code.INTERNAL, "A fault.")
    assert problem.facts is NO_FACTS
    with pytest.raises(TypeError):
        NO_FACTS["a"] = 1  # type: ignore[index]
