"""The real disk: one owner at a time, whole writes, private files."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.journal import JOURNAL_ID, begun, facts, whole_call
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.money.journal import service
from tokenbooth.money.journal.rules import ID_FILE
from tokenbooth.money.journal.service import FileDisk, open_directory, read_replay

HOLDER = """
import sys
from pathlib import Path
from tests.support.journal import begun, whole_call
from tokenbooth.money.journal.service import FileDisk
journal = begun(FileDisk(Path(sys.argv[1])))
whole_call(journal, "req_child")
journal.write_out()
print("holding", flush=True)
sys.stdin.read()
"""


class Dice:
    def token_bytes(self, count: int) -> bytes:
        return bytes(range(count))


def test_what_was_written_is_read_back_by_the_next_run(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path / "replicas" / "one")
    journal = begun(disk, segment_bytes_max=1_000)
    for number in range(10):
        whole_call(journal, f"req_{number}")
        journal.write_out()
        journal.sync()
    assert len(disk.list()) > 3
    journal.close()
    again = FileDisk(tmp_path / "replicas" / "one")
    second = begun(again, epoch=2)
    assert len(second.replay.calls) == 10
    second.forget(tuple(f"req_{number}" for number in range(10)))
    second.prune()
    assert len(again.list()) == 1
    second.close()


def test_the_directory_and_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    begun(FileDisk(tmp_path / "one"))
    assert (tmp_path / "one").stat().st_mode & 0o077 == 0
    (file,) = (tmp_path / "one").iterdir()
    assert file.stat().st_mode & 0o177 == 0


def test_two_in_one_process_cannot_share_a_directory(tmp_path: Path) -> None:
    first = FileDisk(tmp_path)
    with pytest.raises(Problem, match="Another process") as caught:
        FileDisk(tmp_path)
    assert caught.value.code is Code.STATE_CONFLICT
    first.release()
    FileDisk(tmp_path).release()


def test_two_processes_cannot_share_it_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"holding\n"
        with pytest.raises(Problem, match="Another process"):
            FileDisk(tmp_path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    disk = FileDisk(tmp_path)
    (call,) = read_replay(disk, JOURNAL_ID).calls
    assert call.facts == facts("req_child")
    assert call.settlement is not None
    disk.release()


def test_a_write_that_the_system_takes_in_pieces_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FileDisk(tmp_path)
    file = disk.open("piecemeal")
    real = os.write
    monkeypatch.setattr(os, "write", lambda target, chunk: real(target, bytes(chunk)[:7]))
    disk.append(file, b"0123456789" * 5)
    assert disk.read("piecemeal") == b"0123456789" * 5


def test_a_name_is_made_once(tmp_path: Path) -> None:
    disk = FileDisk(tmp_path)
    disk.close(disk.open("one"))
    with pytest.raises(FileExistsError):
        disk.open("one")


def test_a_directory_is_opened_with_its_id(tmp_path: Path) -> None:
    disk, journal_id = open_directory(tmp_path / "deep" / "one", Dice())
    assert journal_id == bytes(range(16))
    assert disk.list() == (ID_FILE,)
    disk.release()
    again, same = open_directory(tmp_path / "deep" / "one", Dice())
    assert same == journal_id
    again.release()


def test_a_directory_whose_id_is_lost_is_let_go_again(tmp_path: Path) -> None:
    begun(FileDisk(tmp_path)).close()
    with pytest.raises(Problem, match="damaged"):
        open_directory(tmp_path, Dice())
    FileDisk(tmp_path).release()


def test_the_surface_names_what_it_has() -> None:
    assert all(hasattr(service, name) for name in service.__all__)
