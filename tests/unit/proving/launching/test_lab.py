"""A fictional lab: what it makes is the same in every run, and real services judge it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ops import START_US
from tests.support.stores import lay_out
from tests.unit.proving.launching.conftest import MakeReady
from tokenbooth.catalog.models import service as catalog
from tokenbooth.core.codes import Code
from tokenbooth.core.days import US_PER_DAY
from tokenbooth.core.problem import Problem
from tokenbooth.launch.gates.service import Mark
from tokenbooth.launch.readiness.service import Verdict
from tokenbooth.launch.stages.service import Stage
from tokenbooth.proving.launching.lab import (
    Counting,
    Heard,
    Lab,
    SetClock,
    digest_of,
    open_lab,
    resigned,
)
from tokenbooth.signing.attestation import MalformedAttestation, Refusal, Wanted, check
from tokenbooth.signing.canonical import NotCanonical
from tokenbooth.signing.keys import SigningKey


def test_the_directory_of_a_lab_is_gone_afterwards_also_after_a_fault() -> None:
    homes: list[Path] = []

    def fail_inside() -> None:
        with open_lab(0, 1, lay_out) as lab:
            homes.append(lab.home)
            assert (lab.home / "tokenbooth.db").exists()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail_inside()
    assert not homes[0].exists()


def test_a_lab_whose_database_cannot_be_made_leaves_nothing_behind() -> None:
    seen: list[str] = []

    def broken(options: object) -> None:
        seen.append(options.url.removeprefix("sqlite:///"))  # type: ignore[attr-defined]
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), open_lab(0, 1, broken):
        pass
    assert not Path(seen[0]).parent.exists()


def test_two_labs_of_a_seed_sign_the_same_evidence_and_another_seed_has_another_key() -> None:
    found = []
    for seed in (3, 3, 4):
        with open_lab(seed, START_US, lay_out) as lab:
            lab.offer("demo", {"seed": "1"})
            found.append(lab.measured("demo", "rollback/1", {"seconds": 9}).digest)
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_noise_follows_the_seed_and_ids_count() -> None:
    one, same, other = Counting(1), Counting(1), Counting(2)
    assert one.token_bytes(16) == same.token_bytes(16) != other.token_bytes(16)
    assert len(one.token_bytes(5)) == 5
    assert [one.new("org") == same.new("org") for _ in range(3)] == [True] * 3
    assert one.new("key") != one.new("key")


def test_both_hands_of_the_clock_show_what_was_set() -> None:
    clock = SetClock(5)
    clock.us += 2
    assert (clock.now_us(), clock.monotonic_us()) == (7, 7)


def test_the_log_keeps_events_and_faults_in_their_order() -> None:
    log = Heard()
    log.event("a", n=1)
    log.fault("b", ValueError("x"), n=2)
    assert log.lines == ["a", "b"]


def test_what_an_operator_does_is_on_record_under_the_name_that_was_given(lab: Lab) -> None:
    piece = lab.measured("demo", "rollback/1", {"seconds": 9})
    assert (piece.added_by, piece.added_us) == ("operator", START_US)
    assert lab.op("worker").actor == "worker"
    lab.clock.us += 4
    assert lab.op().now() == START_US + 4


def test_a_name_offered_again_is_another_build_in_its_place(lab: Lab) -> None:
    before = lab.signed("demo", "rollback/1", {"seconds": 9})
    lab.offer("demo", {"seed": "2"})
    after = lab.signed("demo", "rollback/1", {"seconds": 9})
    assert before.finding.subject["model"] == after.finding.subject["model"] == "demo"
    assert before.finding.subject["fingerprint"] != after.finding.subject["fingerprint"]
    with lab.tx() as tx:
        assert [each.name for each in catalog.models(lab.op(), tx)] == ["demo"]


def test_a_verb_that_fails_in_the_middle_leaves_nothing_of_itself(lab: Lab) -> None:
    def remove_and_fail() -> None:
        with lab.tx() as tx:
            catalog.remove_model(lab.op(), tx, "demo")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        remove_and_fail()
    with pytest.raises(Problem):
        lab.offer("no model has such a name", {})
    with lab.tx() as tx:
        assert [each.name for each in catalog.models(lab.op(), tx)] == ["demo"]


def test_nothing_is_measured_of_a_model_that_is_not_offered(lab: Lab) -> None:
    with pytest.raises(Problem) as caught:
        lab.measured("nobody", "rollback/1", {"seconds": 9})
    assert caught.value.code is Code.MODEL_NOT_FOUND


def test_the_same_piece_is_kept_once(lab: Lab) -> None:
    made = lab.signed("demo", "rollback/1", {"seconds": 9})
    lab.keep(made)
    with pytest.raises(Problem) as caught:
        lab.keep(made)
    assert caught.value.code is Code.ALREADY_EXISTS


@pytest.mark.parametrize("body", [{"share": 0.5}, {"seconds": 2**60}, {"said": "\ud800"}])
def test_figures_without_a_canonical_form_are_refused_naming_the_file(
    lab: Lab, body: dict[str, object]
) -> None:
    with pytest.raises(Problem) as caught:
        lab.signed("demo", "rollback/1", body)
    assert (caught.value.code, caught.value.param) == (Code.INVALID_VALUE, "file")


def test_a_measurement_counts_for_as_many_days_as_were_asked(lab: Lab) -> None:
    made = lab.signed("demo", "rollback/1", {"seconds": 9}, days=2)
    wanted = Wanted("rollback/1", lab.desk.keys, START_US, {"model": "demo"})
    end_us = START_US + 2 * US_PER_DAY
    assert check(made, wanted) == ()
    assert check(made, replace(wanted, now_us=end_us - 1)) == ()
    assert check(made, replace(wanted, now_us=end_us)) == (Refusal.EXPIRED,)


def test_signed_again_only_the_named_fields_are_others(lab: Lab) -> None:
    made = lab.signed("demo", "rollback/1", {"seconds": 9})
    again = resigned(made, lab.desk.key, body={"seconds": 1})
    assert again.finding == replace(made.finding, body={"seconds": 1})
    wanted = Wanted("rollback/1", lab.desk.keys, START_US, {"model": "demo"})
    assert check(again, wanted) == ()
    assert resigned(made, lab.desk.key).digest == made.digest
    other = resigned(made, SigningKey(bytes(32)))
    assert check(other, wanted) == (Refusal.UNKNOWN_KEY,)
    with pytest.raises(TypeError):
        resigned(made, lab.desk.key, no_such_field=1)
    with pytest.raises(MalformedAttestation):
        resigned(made, lab.desk.key, kind="no kind")


def test_a_digest_is_of_the_meaning_and_not_of_the_order() -> None:
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])
    with pytest.raises(NotCanonical):
        digest_of({"share": 0.5})


@pytest.mark.parametrize("stage", [Stage.PRIVATE_PREVIEW, Stage.PUBLIC_PREVIEW, Stage.GA])
def test_a_ready_model_is_a_go_until_another_build_takes_its_name(
    lab: Lab, make_ready: MakeReady, stage: Stage
) -> None:
    ask = make_ready(stage)
    assert lab.report(ask).verdict is Verdict.GO
    lab.offer("demo", {"seed": "9"})
    found = lab.report(ask)
    assert found.verdict is Verdict.NO_GO
    assert {line.outcome.mark for line in found.lines} == {Mark.STALE}


def test_time_alone_takes_a_go_away(lab: Lab, make_ready: MakeReady) -> None:
    ask = make_ready(Stage.PRIVATE_PREVIEW)
    lab.clock.us += 8 * US_PER_DAY
    stale = {line.gate.name for line in lab.report(ask).blockers}
    assert stale == {"quality", "capacity"}
