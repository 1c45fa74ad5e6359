"""Stored responses: whose they are, what they go on from, and when they are gone."""

import pytest

from tests.support.claims import KEEP_US, ClaimDesk
from tokenbooth.content.responses import service as responses
from tokenbooth.content.responses.rules import CHAIN_MAX
from tokenbooth.content.responses.service import BATCH, ResponseAsk, StoredResponse
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem


def ask(desk: ClaimDesk, response_id: str = "resp_1", **fields) -> ResponseAsk:
    project_id = fields.pop("project_id", desk.ours)
    plain = {
        "org_id": desk.owners[project_id],
        "project_id": project_id,
        "response_id": response_id,
        "previous_id": None,
        "background": False,
        "replica_id": "rep_a",
        "epoch": 1,
        "keep_us": KEEP_US,
    }
    return ResponseAsk(**{**plain, **fields})


def keep(desk: ClaimDesk, response_id: str = "resp_1", sealed: bytes = b"sealed", **fields) -> bool:
    wanted = ask(desk, response_id, **fields)
    return desk.write(lambda op, tx: responses.keep(op, tx, wanted, sealed))


def found(desk: ClaimDesk, response_id: str = "resp_1", owner: str = "") -> StoredResponse | None:
    return desk.read(lambda op, tx: responses.found(op, tx, owner or desk.ours, response_id))


def chain(desk: ClaimDesk, last_id: str, bytes_max: int = 10**6) -> list[str]:
    read = desk.read(lambda op, tx: responses.chain(op, tx, desk.ours, last_id, bytes_max))
    return [link.response_id for link in read]


def drop(desk: ClaimDesk, response_id: str = "resp_1", owner: str = "") -> None:
    desk.write(lambda op, tx: responses.drop(op, tx, owner or desk.ours, response_id))


def rows(desk: ClaimDesk) -> list[str]:
    return [row[0] for row in desk.rows("SELECT id FROM stored_response ORDER BY id")]


def drop_over(desk: ClaimDesk) -> int:
    return desk.write(responses.drop_over)


def test_a_stored_response_is_found_as_it_was(desk: ClaimDesk):
    assert found(desk) is None
    assert keep(desk, previous_id="resp_0")
    stored = found(desk)
    assert stored is not None
    assert (stored.project_id, stored.org_id) == (desk.ours, desk.owners[desk.ours])
    assert (stored.response_id, stored.previous_id) == ("resp_1", "resp_0")
    assert (stored.replica_id, stored.epoch, stored.sealed) == ("rep_a", 1, b"sealed")
    assert (stored.running, stored.background, stored.cancelled) == (False, False, False)
    assert stored.expires_us == stored.created_us + KEEP_US
    assert "sealed'" not in repr(stored)


def test_the_first_one_with_an_id_stays(desk: ClaimDesk):
    keep(desk, sealed=b"first")
    keep(desk, sealed=b"second")
    stored = found(desk)
    assert stored is not None
    assert stored.sealed == b"first"


def test_no_other_project_finds_continues_or_deletes_it(desk: ClaimDesk):
    keep(desk)
    assert found(desk, owner=desk.theirs) is None
    with pytest.raises(Problem) as refused:
        drop(desk, owner=desk.theirs)
    assert refused.value.code is Code.RESPONSE_NOT_FOUND
    with pytest.raises(Problem) as refused:
        desk.read(lambda op, tx: responses.chain(op, tx, desk.theirs, "resp_1", 9))
    assert refused.value.code is Code.PREVIOUS_RESPONSE_NOT_FOUND
    assert rows(desk) == ["resp_1"]


def test_two_projects_may_have_the_same_id(desk: ClaimDesk):
    keep(desk)
    keep(desk, project_id=desk.theirs)
    drop(desk)
    assert found(desk) is None
    assert found(desk, owner=desk.theirs) is not None


def test_a_chain_is_read_from_its_first(desk: ClaimDesk):
    for number in range(5):
        keep(desk, f"resp_{number}", previous_id=f"resp_{number - 1}" if number else None)
    assert chain(desk, "resp_4") == [f"resp_{number}" for number in range(5)]
    assert chain(desk, "resp_0") == ["resp_0"]


@pytest.mark.parametrize("missing", ["resp_2", "resp_1", "resp_0"])
def test_a_chain_with_a_gap_names_what_is_missing(desk: ClaimDesk, missing: str):
    for number in range(3):
        keep(desk, f"resp_{number}", previous_id=f"resp_{number - 1}" if number else None)
    drop(desk, missing)
    with pytest.raises(Problem) as refused:
        chain(desk, "resp_2")
    assert refused.value.code is Code.PREVIOUS_RESPONSE_NOT_FOUND
    assert refused.value.param == "previous_response_id"
    assert missing in refused.value.public


def test_a_chain_is_bounded_in_bytes(desk: ClaimDesk):
    keep(desk, "resp_0", b"x" * 60)
    keep(desk, "resp_1", b"x" * 40, previous_id="resp_0")
    assert len(chain(desk, "resp_1", 100)) == 2
    with pytest.raises(Problem) as refused:
        chain(desk, "resp_1", 99)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "previous_response_id")


def test_a_chain_is_bounded_in_length_even_in_a_circle(
    desk: ClaimDesk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(responses, "CHAIN_MAX", 5)
    keep(desk, "resp_0", previous_id="resp_1")
    keep(desk, "resp_1", previous_id="resp_0")
    with pytest.raises(Problem) as refused:
        chain(desk, "resp_1", 10**9)
    assert str(CHAIN_MAX) in refused.value.public


def test_what_has_expired_is_gone_at_once_and_deleted_soon(desk: ClaimDesk):
    keep(desk)
    keep(desk, "resp_2", keep_us=KEEP_US + 1)
    desk.clock.us += KEEP_US - 1
    assert found(desk) is not None
    assert drop_over(desk) == 0
    desk.clock.us += 1
    assert found(desk) is None
    assert drop_over(desk) == 1
    assert rows(desk) == ["resp_2"]


def test_deletion_is_in_bounded_steps(desk: ClaimDesk):
    for number in range(BATCH + 1):
        keep(desk, f"resp_{number}", keep_us=1)
    desk.clock.us += 1
    assert [drop_over(desk) for _ in range(3)] == [BATCH, 1, 0]


def test_a_project_that_keeps_no_answers_stores_none_and_loses_those_it_had(desk: ClaimDesk):
    keep(desk)
    keep(desk, project_id=desk.theirs)
    desk.keep(kept=False)
    assert found(desk) is None
    assert not keep(desk, "resp_2")
    assert rows(desk) == ["resp_1", "resp_1"]
    assert drop_over(desk) == 1
    assert rows(desk) == ["resp_1"]
    desk.keep(kept=True)
    assert keep(desk, "resp_2")
    assert found(desk, "resp_2") is not None
    assert found(desk, owner=desk.theirs) is not None
