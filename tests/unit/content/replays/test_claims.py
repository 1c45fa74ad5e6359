"""Who holds an idempotency key, what stands under it, and when it is forgotten."""

import pytest

from tests.support.claims import KEEP_US, ClaimDesk
from tokenbooth.content.replays import service as replays
from tokenbooth.content.replays.rules import RUNNING_EXTRA_US
from tokenbooth.content.replays.service import BATCH, Claim, ClaimState, Lack, Over
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

NOT_WHOLE = Over("client_gone", whole=False, lacks=Lack.NOT_WHOLE)


def standing(found: Claim | None) -> Claim:
    assert found is not None, "the key was free"
    return found


def test_the_first_call_has_the_key_and_the_second_sees_it_running(desk: ClaimDesk):
    assert desk.claim("req_1") is None
    found = standing(desk.claim("req_2"))
    assert (found.state, found.request_id) == (ClaimState.RUNNING, "req_1")
    assert (found.replica_id, found.epoch) == ("rep_a", 1)
    assert (found.outcome, found.lacks, found.sealed) == (None, None, None)
    assert found.created_us == desk.clock.us
    assert found.expires_us == desk.clock.us + KEEP_US


def test_fifty_calls_at_once_leave_the_key_to_one(desk: ClaimDesk):
    asks = [desk.ask(f"req_{n}") for n in range(50)]
    told = desk.write_together([lambda op, tx, a=a: replays.claim(op, tx, a) for a in asks])
    winners = [n for n, found in enumerate(told) if found is None]
    assert len(winners) == 1
    assert {found.request_id for found in told if found is not None} == {f"req_{winners[0]}"}
    assert desk.rows("SELECT count(*) FROM replay") == [(1,)]


def test_claims_and_releases_at_once_never_give_the_key_to_two(desk: ClaimDesk):
    """Each call that gets the key lets it go in the same transaction."""

    def claim_and_release(request_id):
        ask = desk.ask(request_id)

        def verb(op, tx):
            found = replays.claim(op, tx, ask)
            if found is None:
                replays.release(op, tx, ask)
            return found

        return verb

    told = desk.write_together([claim_and_release(f"req_{n}") for n in range(50)])
    assert told == [None] * 50
    assert desk.rows("SELECT count(*) FROM replay") == [(0,)]


def test_a_whole_answer_stands_until_it_expires(desk: ClaimDesk):
    desk.claim("req_1")
    desk.finish("req_1")
    desk.clock.us += KEEP_US - 1
    found = standing(desk.claim("req_2"))
    assert (found.state, found.outcome, found.sealed) == (ClaimState.DONE, "completed", b"sealed")
    desk.clock.us += 1
    assert desk.claim("req_3") is None
    assert standing(desk.claim("req_4")).request_id == "req_3"


def test_a_charged_part_stands_without_an_answer(desk: ClaimDesk):
    desk.claim("req_1")
    desk.finish("req_1", NOT_WHOLE)
    found = standing(desk.claim("req_2"))
    assert (found.state, found.outcome) == (ClaimState.FAILED, "client_gone")
    assert (found.lacks, found.sealed) == (Lack.NOT_WHOLE, None)


def test_a_released_key_is_free_for_any_body(desk: ClaimDesk):
    desk.claim("req_1")
    desk.release("req_1")
    assert desk.claim("req_2", body_sha256=b"c" * 32) is None


def test_only_the_call_that_holds_a_key_can_let_it_go_or_finish_it(desk: ClaimDesk):
    desk.claim("req_1")
    desk.release("req_2")
    desk.finish("req_2")
    assert standing(desk.claim("req_3")).state is ClaimState.RUNNING


def test_the_first_end_stays(desk: ClaimDesk):
    desk.claim("req_1")
    desk.finish("req_1")
    desk.finish("req_1", NOT_WHOLE)
    desk.release("req_1")
    found = standing(desk.claim("req_2"))
    assert (found.state, found.sealed) == (ClaimState.DONE, b"sealed")


def test_a_late_end_of_a_forgotten_claim_changes_nothing_of_the_next_one(desk: ClaimDesk):
    desk.claim("req_1")
    desk.clock.us += KEEP_US + RUNNING_EXTRA_US
    desk.claim("req_2")
    desk.finish("req_1")
    desk.release("req_1")
    assert standing(desk.claim("req_3")).request_id == "req_2"
    assert standing(desk.claim("req_3")).state is ClaimState.RUNNING


@pytest.mark.parametrize("ending", ["running", "done", "failed"])
def test_another_body_is_refused_by_name_whatever_became_of_the_first(desk: ClaimDesk, ending: str):
    desk.claim("req_1")
    if ending != "running":
        desk.finish("req_1", None if ending == "done" else NOT_WHOLE)
    with pytest.raises(Problem) as refused:
        desk.claim("req_2", body_sha256=b"c" * 32)
    assert refused.value.code is Code.IDEMPOTENCY_MISMATCH
    assert refused.value.facts["original_request_id"] == "req_1"
    assert standing(desk.claim("req_3")).request_id == "req_1"


def test_no_tenant_meets_anothers_key(desk: ClaimDesk):
    desk.claim("req_1")
    desk.finish("req_1")
    assert desk.claim("req_2", project_id=desk.theirs, body_sha256=b"c" * 32) is None
    desk.release("req_1", project_id=desk.theirs)
    desk.finish("req_1", NOT_WHOLE, project_id=desk.theirs)
    assert standing(desk.claim("req_3")).sealed == b"sealed"
    found = standing(desk.claim("req_4", project_id=desk.theirs, body_sha256=b"c" * 32))
    assert (found.request_id, found.state) == ("req_2", ClaimState.RUNNING)


def test_keys_differ_to_the_letter(desk: ClaimDesk):
    for number, key in enumerate(("k", "K", "k%", "k_", "kk")):
        assert desk.claim(f"req_{number}", key=key) is None


def test_an_answer_of_a_project_that_keeps_none_is_not_stored(desk: ClaimDesk):
    desk.keep(kept=False)
    desk.claim("req_1")
    desk.finish("req_1")
    found = standing(desk.claim("req_2"))
    assert (found.state, found.outcome) == (ClaimState.DONE, "completed")
    assert (found.lacks, found.sealed) == (Lack.NOT_KEPT, None)
    assert desk.rows("SELECT count(*) FROM replay WHERE sealed IS NOT NULL") == [(0,)]


def test_answers_are_given_out_no_more_as_soon_as_a_project_keeps_none(desk: ClaimDesk):
    desk.claim("req_1")
    desk.finish("req_1")
    desk.keep(kept=False)
    found = standing(desk.claim("req_2"))
    assert (found.lacks, found.sealed) == (Lack.NOT_KEPT, None)


def test_keeping_answers_is_the_default_and_can_be_changed_back_and_forth(desk: ClaimDesk):
    def kept() -> bool:
        return desk.read(lambda op, tx: replays.answers_kept(op, tx, desk.ours))

    assert kept()
    for wanted in (False, False, True, False):
        desk.keep(kept=wanted)
        assert kept() is wanted
    ((by, at_us),) = desk.rows("SELECT set_by, set_us FROM answer_retention")
    assert (by, at_us) == ("tester", desk.clock.us)


def test_answers_of_a_project_that_keeps_none_are_deleted_in_steps(desk: ClaimDesk):
    extra = 7
    for n in range(BATCH + extra):
        desk.claim(f"req_{n}", key=f"k{n}")
        desk.finish(f"req_{n}", key=f"k{n}")
    desk.claim("req_x", project_id=desk.theirs)
    desk.finish("req_x", project_id=desk.theirs)
    assert desk.write(replays.drop_over) == 0
    desk.keep(kept=False)
    assert [desk.write(replays.drop_over) for _ in range(3)] == [BATCH, extra, 0]
    assert desk.rows("SELECT project_id FROM replay WHERE sealed IS NOT NULL") == [(desk.theirs,)]
    found = standing(desk.claim("req_y", key="k3"))
    assert (found.state, found.lacks) == (ClaimState.DONE, Lack.NOT_KEPT)


def test_what_has_expired_is_deleted_in_steps_oldest_first(desk: ClaimDesk):
    extra = 3
    for n in range(BATCH + extra):
        desk.claim(f"req_{n}", key=f"k{n}")
        desk.finish(f"req_{n}", key=f"k{n}")
        desk.clock.us += 1
    desk.clock.us += KEEP_US
    desk.claim("req_new", key="new")
    assert desk.write(replays.drop_over) == BATCH
    left = {key for (key,) in desk.rows("SELECT idempotency_key FROM replay")}
    assert left == {"new", *(f"k{BATCH + n}" for n in range(extra))}
    assert [desk.write(replays.drop_over) for _ in range(2)] == [extra, 0]
    assert desk.rows("SELECT idempotency_key FROM replay") == [("new",)]


def test_a_claim_of_a_running_call_is_deleted_a_day_later(desk: ClaimDesk):
    desk.claim("req_1")
    desk.clock.us += KEEP_US + RUNNING_EXTRA_US - 1
    assert desk.write(replays.drop_over) == 0
    assert standing(desk.claim("req_2")).request_id == "req_1"
    desk.clock.us += 1
    assert desk.write(replays.drop_over) == 1
    assert desk.claim("req_3") is None


def past(desk: ClaimDesk, epoch: int, after: Claim | None = None) -> list[str]:
    found = desk.read(lambda op, tx: replays.past(op, tx, "rep_a", epoch, after))
    return [claim.request_id for claim in found]


def test_the_claims_of_earlier_runs_of_a_process_are_found(desk: ClaimDesk):
    desk.claim("req_1", key="a", epoch=1)
    desk.claim("req_2", key="b", epoch=2)
    desk.claim("req_3", key="c", epoch=3)
    desk.claim("req_4", key="d", epoch=1, replica_id="rep_b")
    desk.claim("req_5", key="e", epoch=1)
    desk.finish("req_5", key="e")
    assert past(desk, 3) == ["req_1", "req_2"]
    assert past(desk, 1) == []


def test_claims_of_earlier_runs_come_in_pages_over_all_tenants(desk: ClaimDesk):
    made = set()
    for n in range(BATCH + 2):
        project_id = desk.theirs if n % 2 else desk.ours
        desk.claim(f"req_{n}", key=f"k{n}", project_id=project_id)
        made.add(f"req_{n}")
    first = desk.read(lambda op, tx: replays.past(op, tx, "rep_a", 2))
    assert len(first) == BATCH
    rest = past(desk, 2, after=first[-1])
    assert {claim.request_id for claim in first} | set(rest) == made
    assert len(rest) == 2


def test_the_database_refuses_what_no_claim_can_be(desk: ClaimDesk):
    desk.claim("req_1")
    for wrong in (
        Over("completed", whole=True),
        Over("client_gone", whole=False, sealed=b"x"),
        Over("completed", whole=True, lacks=Lack.TOO_LARGE, sealed=b"x"),
    ):
        with pytest.raises(Exception, match=r"(?i)check constraint"):
            desk.finish("req_1", wrong)
    with pytest.raises(Exception, match=r"(?i)check constraint"):
        desk.claim("req_2", key="other", body_sha256=b"short")
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        desk.claim("req_2", key="other", org_id="org_none")
    assert standing(desk.claim("req_3")).state is ClaimState.RUNNING
