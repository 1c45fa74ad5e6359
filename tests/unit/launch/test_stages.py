"""Stages: decided one after the other, opened edge by edge, told of in the words of HTTP."""

from email.utils import parsedate_to_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.support.ops import ManualClock
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.ports import Tx
from tokenbooth.core.problem import Problem
from tokenbooth.launch.stages import service as stages
from tokenbooth.launch.stages import sql
from tokenbooth.launch.stages.rules import checked_ask, end_headers, http_date
from tokenbooth.launch.stages.service import Stage, StageAsk, Standing

DAY_US = 86_400_000_000


def standing(stage: Stage, capability: str = "", **fields: object) -> Standing:
    return Standing(
        **{
            "model": "m",
            "capability": capability,
            "sequence": 1,
            "stage": stage,
            "sunset_us": None,
            "successor": None,
            "reason": "",
            "report": "",
            "effective_us": DAY_US,
            "author": "operator",
            **fields,
        }  # type: ignore[arg-type]
    )


def test_a_model_of_which_nothing_was_decided_is_open(op: Op, tx: Tx) -> None:
    assert stages.standing(op, tx, "m") is None
    assert stages.door(op, tx, "m") is None


def test_every_decision_stays_on_record(op: Op, tx: Tx, clock: ManualClock) -> None:
    for stage in Stage:
        clock.us += 1
        stages.move(op, tx, StageAsk(model="m", stage=stage, reason="so"))
    images = stages.move(op, tx, StageAsk(model="m", stage=Stage.CLOSED, capability="images"))
    stages.move(op, tx, StageAsk(model="n", stage=Stage.GA))
    found = stages.history(op, tx, "m")
    assert [each.stage for each in found if not each.capability] == list(Stage)
    assert {each.author for each in found} == {"operator"}
    whole = stages.standing(op, tx, "m")
    assert whole is not None
    assert (whole.stage, whole.sequence) == (Stage.RETIRED, 7)
    assert set(stages.standings(op, tx)["m"]) == {whole, images}
    assert set(stages.standings(op, tx)) == {"m", "n"}
    door = stages.door(op, tx, "m")
    assert door is not None
    assert (door.stage, door.parts) == (Stage.RETIRED, (images,))


@pytest.mark.parametrize(
    "statement", ["UPDATE launch_stage SET author='x'", "DELETE FROM launch_stage"]
)
def test_no_decision_can_be_changed(op: Op, tx: Tx, statement: str) -> None:
    stages.move(op, tx, StageAsk(model="m", stage=Stage.CLOSED))
    with pytest.raises(IntegrityError):
        tx.execute(text(statement))


def test_two_decisions_at_once_do_not_become_one(
    op: Op, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.move(op, tx, StageAsk(model="m", stage=Stage.CLOSED))
    monkeypatch.setattr(sql, "newest", lambda tx, model: ())
    with pytest.raises(Problem) as caught:
        stages.move(op, tx, StageAsk(model="m", stage=Stage.GA))
    assert caught.value.code is Code.STATE_CONFLICT


def test_what_opens_further_passes_every_edge_between() -> None:
    assert stages.gated_edges(Stage.CLOSED, Stage.GA) == (
        Stage.PRIVATE_PREVIEW,
        Stage.PUBLIC_PREVIEW,
        Stage.GA,
    )
    assert stages.gated_edges(Stage.RETIRED, Stage.DEPRECATED)[-1] is Stage.GA
    assert stages.gated_edges(Stage.DEPRECATED, Stage.GA) == ()
    assert stages.gated_edges(Stage.CLOSED, Stage.WAITLIST) == ()
    assert stages.gated_edges(Stage.GA, Stage.CLOSED) == ()


@given(st.sampled_from(Stage), st.sampled_from(Stage), st.sampled_from(Stage))
def test_no_way_around_an_edge(start: Stage, middle: Stage, end: Stage) -> None:
    """A path over a third stage has at least the gates of the direct one, but where it went by
    a stage that had them passed already."""
    direct = set(stages.gated_edges(start, end))
    around = set(stages.gated_edges(start, middle)) | set(stages.gated_edges(middle, end))
    assert direct <= around


def test_each_stage_falls_one_reach_down() -> None:
    falls = [Stage.GA, Stage.PUBLIC_PREVIEW, Stage.PRIVATE_PREVIEW, Stage.WAITLIST, Stage.WAITLIST]
    assert [stages.stage_below(a) for a in falls[:-1]] == falls[1:]
    assert stages.stage_below(Stage.DEPRECATED) is Stage.PUBLIC_PREVIEW
    for above, below in pairwise(falls):
        assert stages.gated_edges(above, below) == ()


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (StageAsk(model="m", stage=Stage.GA, sunset_us=9), "sunset"),
        (StageAsk(model="m", stage=Stage.DEPRECATED, sunset_us=5), "sunset"),
        (StageAsk(model="m", stage=Stage.DEPRECATED, sunset_us=10**18), "sunset"),
        (StageAsk(model="m", stage=Stage.GA, successor="n"), "successor"),
        (StageAsk(model="m", stage=Stage.RETIRED, successor="m"), "successor"),
        (StageAsk(model="m", stage=Stage.RETIRED, successor="n" * 65), "successor"),
        (StageAsk(model="m", stage=Stage.RETIRED, successor="n\n"), "successor"),
        (StageAsk(model="m", stage=Stage.GA, reason="a\nb"), "reason"),
        (StageAsk(model="m", stage=Stage.GA, reason="a" * 501), "reason"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_by_the_name_of_its_field(
    ask: StageAsk, param: str
) -> None:
    with pytest.raises(Problem) as caught:
        checked_ask(ask, 5)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, param)


def test_a_wish_that_can_be_is_itself() -> None:
    ask = StageAsk(model="m", stage=Stage.DEPRECATED, sunset_us=9, successor="n", reason="old")
    assert checked_ask(ask, 5) is ask


def test_an_end_is_told_as_the_two_standards_say() -> None:
    ending = standing(Stage.DEPRECATED, sunset_us=784_111_777 * 10**6)
    assert end_headers(ending) == (
        ("deprecation", "@86400"),
        ("sunset", "Sun, 06 Nov 1994 08:49:37 GMT"),
    )
    assert end_headers(standing(Stage.DEPRECATED)) == (("deprecation", "@86400"),)
    assert end_headers(standing(Stage.GA)) == ()


@given(st.integers(0, 4 * 10**9))
def test_a_date_of_http_reads_as_the_same_moment(time_s: int) -> None:
    assert parsedate_to_datetime(http_date(time_s * 10**6)).timestamp() == time_s


def test_a_door_stands_only_where_something_is_not_open() -> None:
    images = standing(Stage.PRIVATE_PREVIEW, "images")
    assert stages.door_of([]) is None
    assert stages.door_of([standing(Stage.GA)]) is None
    assert stages.door_of([standing(Stage.PUBLIC_PREVIEW), standing(Stage.GA, "tools")]) is None
    only = stages.door_of([images])
    assert only is not None
    assert (only.stage, only.parts) == (Stage.GA, (images,))
    both = stages.door_of([images, standing(Stage.DEPRECATED, successor="n")])
    assert both is not None
    assert (both.successor, both.headers) == ("n", (("deprecation", "@86400"),))


@pytest.mark.parametrize(
    ("stage", "code", "word"),
    [
        (Stage.CLOSED, Code.MODEL_NOT_FOUND, "No model"),
        (Stage.WAITLIST, Code.MODEL_NOT_OPEN, "waitlist"),
        (Stage.PRIVATE_PREVIEW, Code.MODEL_NOT_OPEN, "Ask the operator"),
        (Stage.RETIRED, Code.MODEL_RETIRED, "GET /v1/models"),
    ],
)
def test_a_refusal_says_what_to_do(stage: Stage, code: Code, word: str) -> None:
    problem = stages.refusal("m", stages.Door(stage=stage))
    assert (problem.code, problem.param) == (code, "model")
    assert word in problem.public


def test_a_retired_model_names_its_successor() -> None:
    door = stages.Door(stage=Stage.RETIRED, successor="n")
    assert "Use 'n'." in stages.refusal("m", door).public


@pytest.mark.parametrize(
    "stage", [Stage.PRIVATE_PREVIEW, Stage.WAITLIST, Stage.RETIRED, Stage.CLOSED]
)
def test_a_closed_capability_names_its_field(stage: Stage) -> None:
    problem = stages.part_refusal("m", standing(stage, "images"), "messages[0]")
    assert (problem.code, problem.param) == (Code.MODEL_NOT_OPEN, "messages[0]")
    assert problem.facts == {"stage": stage.value, "capability": "images"}
