from dataclasses import replace

import pytest

from tokenbooth.access.keys.rules import (
    EXPIRES_US_MAX,
    MODELS_MAX,
    OVERLAP_MAX_S,
    caller_of,
    checked_ask,
    checked_overlap,
    is_live,
)
from tokenbooth.access.keys.values import ApiKey, Found, KeyAsk
from tokenbooth.core.caller import Caller, CallLimits, Scope
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NOW_US = 1_000_000
ASK = KeyAsk(project_id="proj_1", name="web")
KEY = ApiKey(
    id="key_1",
    org_id="org_1",
    project_id="proj_1",
    name="web",
    prefix="tb_live_abcd",
    last_four="wxyz",
    scopes=frozenset({Scope.READ}),
    models=frozenset({"m"}),
    limits=CallLimits(1, 2, 3),
    created_us=1,
)
FOUND = Found(KEY, None, CallLimits(4, 5, 6))


def test_a_plain_wish_is_accepted() -> None:
    assert checked_ask(ASK, NOW_US) is ASK
    assert ASK.scopes == frozenset({Scope.INFERENCE, Scope.READ})


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (replace(ASK, name=""), "name"),
        (replace(ASK, name="a\0"), "name"),
        (replace(ASK, limits=CallLimits(parallel_calls=0)), "parallel_calls"),
        (replace(ASK, scopes=frozenset()), "scopes"),
        (replace(ASK, models=frozenset()), "models"),
        (replace(ASK, models=frozenset(map(str, range(MODELS_MAX + 1)))), "models"),
        (replace(ASK, models=frozenset({"good", "a b"})), "models"),
        (replace(ASK, models=frozenset({"x" * 65})), "models"),
        (replace(ASK, models=frozenset({"\0"})), "models"),
        (replace(ASK, expires_us=NOW_US), "expires"),
        (replace(ASK, expires_us=-5), "expires"),
        (replace(ASK, expires_us=EXPIRES_US_MAX + 1), "expires"),
    ],
)
def test_an_impossible_wish_is_refused_by_its_field(ask: KeyAsk, param: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_ask(ask, NOW_US)
    assert caught.value.code is Code.INVALID_VALUE
    assert caught.value.param == param


@pytest.mark.parametrize(
    "ask",
    [
        replace(ASK, models=frozenset({"a", "b/c-d.e:f_g"})),
        replace(ASK, models=frozenset(map(str, range(MODELS_MAX)))),
        replace(ASK, expires_us=NOW_US + 1),
        replace(ASK, expires_us=EXPIRES_US_MAX),
        replace(ASK, scopes=frozenset({Scope.READ})),
    ],
)
def test_the_edges_of_a_wish_are_accepted(ask: KeyAsk) -> None:
    assert checked_ask(ask, NOW_US) == ask


@pytest.mark.parametrize("overlap_s", [0, 1, OVERLAP_MAX_S])
def test_possible_overlaps(overlap_s: int) -> None:
    assert checked_overlap(overlap_s) == overlap_s


@pytest.mark.parametrize("overlap_s", [-1, OVERLAP_MAX_S + 1])
def test_impossible_overlaps(overlap_s: int) -> None:
    with pytest.raises(Problem) as caught:
        checked_overlap(overlap_s)
    assert caught.value.param == "overlap_s"


def test_a_found_key_becomes_its_caller() -> None:
    assert caller_of(FOUND, NOW_US) == Caller(
        org_id="org_1",
        project_id="proj_1",
        key_id="key_1",
        scopes=frozenset({Scope.READ}),
        models=frozenset({"m"}),
        key_limits=CallLimits(1, 2, 3),
        org_limits=CallLimits(4, 5, 6),
    )


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (None, Code.INVALID_KEY),
        (replace(FOUND, key=replace(KEY, revoked_us=NOW_US + 5)), Code.REVOKED_KEY),
        (replace(FOUND, key=replace(KEY, revoked_us=1, expires_us=1)), Code.REVOKED_KEY),
        (replace(FOUND, key=replace(KEY, expires_us=NOW_US)), Code.EXPIRED_KEY),
        (replace(FOUND, secret_expires_us=NOW_US), Code.EXPIRED_KEY),
        (
            replace(FOUND, key=replace(KEY, expires_us=NOW_US + 9), secret_expires_us=1),
            Code.EXPIRED_KEY,
        ),
    ],
)
def test_a_bad_key_says_what_is_wrong_with_it(found: Found | None, code: Code) -> None:
    with pytest.raises(Problem) as caught:
        caller_of(found, NOW_US)
    assert caught.value.code is code


def test_a_key_is_good_until_the_microsecond_of_its_end() -> None:
    found = Found(replace(KEY, expires_us=NOW_US + 1), NOW_US + 1, CallLimits())
    assert caller_of(found, NOW_US).key_id == "key_1"


@pytest.mark.parametrize(
    ("key", "live"),
    [
        (KEY, True),
        (replace(KEY, expires_us=NOW_US + 1), True),
        (replace(KEY, expires_us=NOW_US), False),
        (replace(KEY, revoked_us=1), False),
        (replace(KEY, revoked_us=1, expires_us=NOW_US + 1), False),
    ],
)
def test_live_means_neither_revoked_nor_expired(key: ApiKey, live: bool) -> None:
    assert is_live(key, NOW_US) is live
