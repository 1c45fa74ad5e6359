"""The journal's surface: make a directory's journal, write to it, read what it holds."""

from pathlib import Path

from tokenbooth.core.ports import Randomness
from tokenbooth.money.journal.disk import FileDisk
from tokenbooth.money.journal.driver import JournalDriver
from tokenbooth.money.journal.file import Journal, identity, read_replay
from tokenbooth.money.journal.rules import settled_calls
from tokenbooth.money.journal.values import Disk, JournalStart, Replay, ReplayedCall

__all__ = [
    "Disk",
    "FileDisk",
    "Journal",
    "JournalDriver",
    "JournalStart",
    "Replay",
    "ReplayedCall",
    "identity",
    "open_directory",
    "read_replay",
    "settled_calls",
]


def open_directory(directory: Path, randomness: Randomness) -> tuple[FileDisk, bytes]:
    """Lock the directory, which is made where it is missing; the disk and the journal's id.

    Raises Problem STATE_CONFLICT while another process has it, or where its id file is lost.
    """
    disk = FileDisk(directory)
    try:
        return disk, identity(disk, randomness)
    except BaseException:
        disk.release()
        raise
