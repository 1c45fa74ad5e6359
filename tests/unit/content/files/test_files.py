"""Files: what may be stored, who sees it, and that it ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.support.ops import CountingIds, ManualClock, make_op
from tests.support.stores import fresh_tx
from tokenbooth.access.orgs import service as orgs
from tokenbooth.content.files import rules
from tokenbooth.content.files import service as files
from tokenbooth.content.files.rules import check_room, checked_file, expires_us
from tokenbooth.content.files.service import FileAsk, FilesPage, Purpose, StoredFile
from tokenbooth.core.caller import Caller
from tokenbooth.core.codes import Code
from tokenbooth.core.op import Op
from tokenbooth.core.problem import Problem

KEY = b"k" * 32
HOUR_US = 3600 * 10**6


class Noise:
    def token_bytes(self, count: int) -> bytes:
        return b"n" * count


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Connection]:
    with fresh_tx(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def op(clock: ManualClock) -> Op:
    return make_op(clock)


@pytest.fixture
def ids() -> CountingIds:
    return CountingIds()


def caller_in(op: Op, tx: Any, ids: CountingIds, name: str) -> Caller:
    org = orgs.create_org(op, tx, name, ids)
    (project,) = orgs.projects(op, tx, org.id)
    return Caller(org.id, project.id, "key_1", frozenset())


@pytest.fixture
def ours(op: Op, tx: Connection, ids: CountingIds) -> Caller:
    return caller_in(op, tx, ids, "acme")


@pytest.fixture
def theirs(op: Op, tx: Connection, ids: CountingIds) -> Caller:
    return caller_in(op, tx, ids, "other")


def ask(content: bytes = b"hello", **fields: Any) -> FileAsk:
    return FileAsk(**{"file_name": "a.txt", "purpose": Purpose.BATCH, "content": content} | fields)


def stored(op: Op, tx: Any, caller: Caller, file_id: str, **fields: Any) -> StoredFile:
    wish = ask(**fields)
    made = files.new_file(op, caller, wish, file_id)
    files.add(op, tx, made, files.sealed_content(made, wish.content, KEY, Noise()))
    return made


def code_of(verb: Any, *arguments: Any) -> Code:
    with pytest.raises(Problem) as caught:
        verb(*arguments)
    return caught.value.code


def test_what_was_stored_comes_back_and_lies_sealed(op: Op, tx: Any, ours: Caller) -> None:
    made = stored(op, tx, ours, "file_1", content=b"secret words")
    assert files.file_by(op, tx, ours, "file_1") == made
    sealed = files.content(op, tx, ours, "file_1")
    assert b"secret" not in sealed
    assert files.unsealed(sealed, KEY, ours.project_id, "file_1") == b"secret words"
    assert made.size_bytes == 12


@pytest.mark.parametrize(
    ("key", "project", "file_id"),
    [(b"x" * 32, None, "file_1"), (KEY, "proj_x", "file_1"), (KEY, None, "file_2")],
)
def test_content_opens_nowhere_else(
    op: Op, tx: Any, ours: Caller, key: bytes, project: str | None, file_id: str
) -> None:
    stored(op, tx, ours, "file_1")
    sealed = files.content(op, tx, ours, "file_1")
    place = (project or ours.project_id, file_id)
    assert code_of(files.unsealed, sealed, key, *place) is Code.INTERNAL


def test_another_project_meets_nothing(op: Op, tx: Any, ours: Caller, theirs: Caller) -> None:
    stored(op, tx, ours, "file_1")
    for file_id in ("file_1", "file_9", "\0"):
        for verb in (files.file_by, files.content, files.remove):
            assert code_of(verb, op, tx, theirs, file_id) is Code.FILE_NOT_FOUND
    assert files.files(op, tx, theirs, FilesPage(limit=9)) == ()
    assert files.file_by(op, tx, ours, "file_1").id == "file_1"


def test_a_file_is_gone_when_it_was_removed(op: Op, tx: Any, ours: Caller) -> None:
    stored(op, tx, ours, "file_1")
    files.remove(op, tx, ours, "file_1")
    for verb in (files.file_by, files.content, files.remove):
        assert code_of(verb, op, tx, ours, "file_1") is Code.FILE_NOT_FOUND


def test_a_file_ends_by_itself_and_is_then_swept(
    op: Op, tx: Any, ours: Caller, clock: ManualClock
) -> None:
    stored(op, tx, ours, "file_1", kept_s=3600)
    stored(op, tx, ours, "file_2")
    clock.us += HOUR_US
    for verb in (files.file_by, files.content, files.remove):
        assert code_of(verb, op, tx, ours, "file_1") is Code.FILE_NOT_FOUND
    assert [each.id for each in files.files(op, tx, ours, FilesPage(limit=9))] == ["file_2"]
    assert (files.drop_expired(op, tx), files.drop_expired(op, tx)) == (1, 0)
    clock.us += 30 * 24 * HOUR_US
    assert files.drop_expired(op, tx) == 1


def test_pages_in_both_directions(op: Op, tx: Any, ours: Caller) -> None:
    for number in range(1, 6):
        purpose = Purpose.VISION if number % 2 else Purpose.BATCH
        stored(op, tx, ours, f"file_{number}", purpose=purpose)

    def listed(**fields: Any) -> list[str]:
        page = FilesPage(**{"limit": 2} | fields)
        return [each.id for each in files.files(op, tx, ours, page)]

    assert listed() == ["file_5", "file_4", "file_3"]
    assert listed(after="file_4") == ["file_3", "file_2", "file_1"]
    assert listed(oldest_first=True) == ["file_1", "file_2", "file_3"]
    assert listed(oldest_first=True, after="file_4") == ["file_5"]
    assert listed(purpose=Purpose.BATCH) == ["file_4", "file_2"]


def test_a_project_has_room_for_so_many_only(
    op: Op, tx: Any, ours: Caller, theirs: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PROJECT_FILES_MAX", 2)
    stored(op, tx, ours, "file_1")
    stored(op, tx, ours, "file_2")
    made = files.new_file(op, ours, ask(), "file_3")
    assert code_of(files.add, op, tx, made, b"x") is Code.FILES_FULL
    files.add(op, tx, replace(made, org_id=theirs.org_id, project_id=theirs.project_id), b"x")
    files.remove(op, tx, ours, "file_1")
    files.add(op, tx, replace(made, id="file_4"), b"x")


def test_room_is_counted_in_bytes_too() -> None:
    check_room(0, rules.PROJECT_BYTES_MAX - 1, 1)
    assert code_of(check_room, 0, rules.PROJECT_BYTES_MAX, 1) is Code.FILES_FULL
    assert code_of(check_room, rules.PROJECT_FILES_MAX, 0, 0) is Code.FILES_FULL


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"file_name": ""}, Code.INVALID_VALUE, "file"),
        ({"file_name": "x" * 256}, Code.INVALID_VALUE, "file"),
        ({"file_name": "a\nb"}, Code.INVALID_VALUE, "file"),
        ({"content": bytes(rules.FILE_BYTES_MAX + 1)}, Code.BODY_TOO_LARGE, "file"),
        ({"kept_s": 3599}, Code.INVALID_VALUE, "expires_after[seconds]"),
        ({"kept_s": 2_592_001}, Code.INVALID_VALUE, "expires_after[seconds]"),
    ],
)
def test_a_file_that_cannot_be_is_refused(fields: dict[str, Any], code: Code, param: str) -> None:
    with pytest.raises(Problem) as caught:
        checked_file(ask(**fields))
    assert (caught.value.code, caught.value.param) == (code, param)


def test_a_file_that_can_be_is_kept_for_thirty_days_or_what_is_said() -> None:
    for wish in (ask(b""), ask(kept_s=3600), ask(kept_s=2_592_000)):
        assert checked_file(wish) is wish
    assert expires_us(ask(), 5) == 5 + 30 * 24 * HOUR_US
    assert expires_us(ask(kept_s=3600), 5) == 5 + HOUR_US
