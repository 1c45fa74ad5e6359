import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.telemetry.lines import (
    FIELD_CHARACTERS_MAX,
    FIELDS_MAX,
    error_fields,
    json_line,
    text_line,
    utc,
)

TEXT = st.text(st.characters(codec=None), max_size=400)
FIELDS = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers() | TEXT, max_size=FIELDS_MAX + 5
)


@given(TEXT, FIELDS)
def test_any_event_becomes_one_json_line(name: str, fields: dict[str, object]) -> None:
    line = json_line(0, "info", name, fields)  # type: ignore[arg-type]
    assert line.isascii()
    assert len(line.splitlines()) == 1
    read = json.loads(line)
    assert read["level"] == "info"
    assert read["time"] == "1970-01-01T00:00:00.000000Z"
    assert len(read) <= FIELDS_MAX + 3


@given(TEXT, FIELDS)
def test_any_event_becomes_one_text_line(name: str, fields: dict[str, object]) -> None:
    line = text_line(0, "error", name, fields)  # type: ignore[arg-type]
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert line.startswith("1970-01-01T00:00:00.000000Z error ")


def test_fields_cannot_replace_the_own_keys_of_a_line() -> None:
    read = json.loads(json_line(1, "info", "real", {"event": "fake", "time": 0, "level": "x"}))
    assert read == {"time": "1970-01-01T00:00:00.000001Z", "level": "info", "event": "real"}


def test_the_own_keys_come_first() -> None:
    assert list(json.loads(json_line(1, "info", "e", {"a": 1}))) == ["time", "level", "event", "a"]


def test_a_long_value_is_cut_and_says_so() -> None:
    value = json.loads(json_line(0, "info", "e", {"a": "x" * 5000}))["a"]
    assert len(value) == FIELD_CHARACTERS_MAX
    assert value.endswith("x…")


def test_values_that_json_cannot_hold_are_named_and_not_shown() -> None:
    fields = {"large": 10**5000, "bytes": b"secret", "fraction": 0.5, "edge": 2**63 - 1}
    read = json.loads(json_line(0, "info", "e", fields))  # type: ignore[arg-type]
    assert read["large"] == "<int>"
    assert read["bytes"] == "<bytes>"
    assert read["fraction"] == "<float>"
    assert read["edge"] == 2**63 - 1


def test_text_values_are_quoted_only_where_they_could_be_misread() -> None:
    line = text_line(0, "info", "call_ended", {"a": "plain", "b": "two words", "c": 'q"=', "d": ""})
    assert line.endswith(' info call_ended a=plain b="two words" c="q\\"=" d=""')
    assert text_line(0, "info", "e", {"n": None, "t": True, "i": -3}).endswith(
        " e n=null t=true i=-3"
    )


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_are_exact_to_the_microsecond(time_us: int) -> None:
    read = datetime.fromisoformat(utc(time_us)) - datetime(1970, 1, 1, tzinfo=UTC)
    assert (read.days * 86_400 + read.seconds) * 10**6 + read.microseconds == time_us


def raise_quoting(content: str) -> None:
    raise ValueError(content)


def caught(content: str) -> BaseException:
    try:
        raise_quoting(content)
    except ValueError as error:
        return error
    raise AssertionError


def test_an_error_is_told_by_type_and_place_without_its_message() -> None:
    fields = error_fields(caught("the prompt was: my secret"))
    assert fields["error"] == "builtins.ValueError"
    assert "raise_quoting" in str(fields["raised_in"])
    assert "caught" in str(fields["came_by"])
    assert "secret" not in json_line(0, "error", "e", fields)


def test_a_problem_also_tells_its_code_and_its_detail_for_the_log() -> None:
    problem = Problem(Code.ENGINE_FAILED, "The engine failed.", detail="exit status 139")
    fields = error_fields(problem)
    assert fields["code"] == "engine_failed"
    assert fields["detail"] == "exit status 139"
    assert "raised_in" not in fields
    assert error_fields(Problem(Code.INTERNAL, "A fault."))["detail"] is None


def test_the_cause_of_an_error_is_named() -> None:
    try:
        raise RuntimeError from caught("my secret")
    except RuntimeError as error:
        fields = error_fields(error)
    assert fields["cause"] == "builtins.ValueError"
    assert "secret" not in str(fields)
