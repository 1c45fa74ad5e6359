"""What a file may be, and how much of them a project may have."""

from tokenbooth.content.files.values import FileAsk
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

FILE_BYTES_MAX = 16 * 1024 * 1024
PROJECT_FILES_MAX = 1000
PROJECT_BYTES_MAX = 256 * 1024 * 1024
FILE_NAME_CHARACTERS_MAX = 255
KEPT_DEFAULT_S = 30 * 86_400
KEPT_MIN_S, KEPT_MAX_S = 3600, 30 * 86_400
US_PER_S = 1_000_000


def checked_file(ask: FileAsk) -> FileAsk:
    """The wish itself, or Problem INVALID_VALUE or BODY_TOO_LARGE with ``param``."""
    name = ask.file_name
    if not 0 < len(name) <= FILE_NAME_CHARACTERS_MAX or not name.isprintable():
        raise Problem(
            Code.INVALID_VALUE,
            f"A file's name has 1 to {FILE_NAME_CHARACTERS_MAX} characters, none of them a control"
            " character.",
            param="file",
        )
    if len(ask.content) > FILE_BYTES_MAX:
        raise Problem(
            Code.BODY_TOO_LARGE,
            f"The file has {len(ask.content)} bytes; the most is {FILE_BYTES_MAX}.",
            param="file",
            facts={"file_bytes_max": FILE_BYTES_MAX},
        )
    if ask.kept_s is not None and not KEPT_MIN_S <= ask.kept_s <= KEPT_MAX_S:
        raise Problem(
            Code.INVALID_VALUE,
            f"expires_after.seconds must be from {KEPT_MIN_S} to {KEPT_MAX_S}.",
            param="expires_after[seconds]",
        )
    return ask


def expires_us(ask: FileAsk, now_us: int) -> int:
    """Every file expires: after what the caller says, else after 30 days."""
    kept_s = KEPT_DEFAULT_S if ask.kept_s is None else ask.kept_s
    return now_us + kept_s * US_PER_S


def check_room(files: int, size_bytes: int, more_bytes: int) -> None:
    """Whether a project with so many files of that size together may have one more.

    Raises FILES_FULL.
    """
    if files >= PROJECT_FILES_MAX:
        raise Problem(
            Code.FILES_FULL, f"This project has {files} files; the most is {PROJECT_FILES_MAX}."
        )
    if size_bytes + more_bytes > PROJECT_BYTES_MAX:
        raise Problem(
            Code.FILES_FULL,
            f"This project's files would have {size_bytes + more_bytes} bytes; the most is"
            f" {PROJECT_BYTES_MAX}.",
        )
