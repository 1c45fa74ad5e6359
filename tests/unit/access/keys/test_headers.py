import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.access.keys.rules import RANDOM_BYTES, secret_of
from tokenbooth.access.keys.service import checked_secret, offered_secret
from tokenbooth.core.codes import Code, Kind
from tokenbooth.core.problem import Problem

GOOD = secret_of(bytes(RANDOM_BYTES))
OTHER = secret_of(b"\7" * RANDOM_BYTES)
BAD = GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1")


def refusal(headers: dict[str, str]) -> Problem:
    with pytest.raises(Problem) as caught:
        checked_secret(offered_secret(headers))
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {GOOD}"},
        {"authorization": f"bearer {GOOD}"},
        {"authorization": f"BEARER {GOOD}"},
        {"authorization": f"  Bearer   {GOOD}  "},
        {"authorization": f"Bearer \t{GOOD}\t"},
        {"x-api-key": GOOD},
        {"x-api-key": f" {GOOD} "},
        {"authorization": f"Bearer {GOOD}", "x-api-key": GOOD},
        {"authorization": f"Bearer {GOOD}, Bearer {GOOD}"},
        {"x-api-key": f"{GOOD}, {GOOD}"},
        {"authorization": "Bearer", "x-api-key": GOOD},
        {"authorization": "Bearer ", "x-api-key": GOOD},
        {"authorization": "", "x-api-key": GOOD},
        {"authorization": f"Bearer {GOOD}", "x-api-key": ""},
        {"authorization": f"Bearer {GOOD}", "x-api-key": " , "},
    ],
)
def test_the_key_is_found_wherever_clients_send_it(headers: dict[str, str]) -> None:
    assert checked_secret(offered_secret(headers)) == GOOD


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"x-api-key": ""},
        {"x-api-key": " \t"},
        {"authorization": " , ,", "x-api-key": ","},
        {"cookie": f"key={GOOD}", "api-key": GOOD},
    ],
)
def test_no_key_at_all_is_said_so(headers: dict[str, str]) -> None:
    problem = refusal(headers)
    assert problem.code is Code.MISSING_KEY
    assert problem.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {GOOD}", "x-api-key": OTHER},
        {"authorization": f"Bearer {OTHER}", "x-api-key": GOOD},
        {"authorization": f"Bearer {GOOD}, Bearer {OTHER}"},
        {"x-api-key": f"{GOOD},{OTHER}"},
        {"authorization": f"Bearer {GOOD}", "x-api-key": BAD},
        {"authorization": f"Bearer {GOOD}", "x-api-key": "junk"},
    ],
)
def test_two_different_credentials_are_refused(headers: dict[str, str]) -> None:
    problem = refusal(headers)
    assert problem.code is Code.AMBIGUOUS_CREDENTIALS
    assert problem.kind is Kind.INVALID_REQUEST


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": GOOD},
        {"authorization": f"Basic {GOOD}"},
        {"authorization": f"Basic {GOOD}", "x-api-key": GOOD},
        {"authorization": f"Bearer\t{GOOD}"},
        {"authorization": f"Bearer{GOOD}"},
        {"authorization": f"Bearer {GOOD} x"},
        {"authorization": f"Bearer {GOOD}\n"},
        {"authorization": f"Bearer {GOOD}\x00"},
        {"authorization": f"Bearer \u00a0{GOOD}"},
        {"authorization": f"Bearer {BAD}"},
        {"authorization": "Digest username=a, realm=b"},
        {"x-api-key": BAD},
        {"x-api-key": f"Bearer {GOOD}"},
        {"x-api-key": GOOD[:30] + "é" + GOOD[31:]},
        {"x-api-key": "\ud800"},
        {"x-api-key": "a" * 1_000_000},
        {"authorization": "Bearer " + "," * 2000},
        {"authorization": " " * 2000 + f"Bearer {GOOD}"},
    ],
)
def test_hostile_headers_are_refused_as_an_invalid_key(headers: dict[str, str]) -> None:
    problem = refusal(headers)
    assert problem.code is Code.INVALID_KEY
    assert problem.kind is Kind.UNAUTHENTICATED
    assert problem.param == "authorization"
    assert GOOD not in problem.public
    assert GOOD not in problem.detail
    assert len(problem.public) < 200


@given(st.fixed_dictionaries({}, optional={"authorization": st.text(), "x-api-key": st.text()}))
def test_no_header_breaks_the_extractor(headers: dict[str, str]) -> None:
    problem = refusal(headers)
    assert problem.kind in {Kind.UNAUTHENTICATED, Kind.INVALID_REQUEST}


@given(st.text(alphabet=" \t,", max_size=8), st.text(alphabet=" \t,", max_size=8))
def test_blanks_and_commas_around_a_key_do_not_matter(before: str, after: str) -> None:
    assert checked_secret(offered_secret({"x-api-key": before + GOOD + after})) == GOOD
