"""How bodies name media: fields that hold it, point at it, or name a stored file."""

from tokenbooth.protocols.shape import Json, bad_value, missing

IMAGE_URL = r"^(https?://|data:image/)[^\x00-\x20]+$"
VIDEO_URL = r"^(https?://|data:video/)[^\x00-\x20]+$"
WEB_URL = r"^https?://[^\x00-\x20]+$"
BASE64 = r"^[A-Za-z0-9+/]+={0,2}$"
FILE_CONTENT = r"^(data:[^\x00-\x20,]*;base64,)?[A-Za-z0-9+/]+={0,2}$"
FILE_ID = r"^[A-Za-z0-9_-]{1,128}$"
AUDIO_FORMATS = ("wav", "mp3")
UNTYPED = "data:application/octet-stream;base64,"


def source_of(holder: Json, path: str, *names: str) -> tuple[str, str]:
    """The ``url`` and ``param`` of a part, by the one field of ``names`` that is there.

    ``file_id`` names a stored file; bare base64 gets the front of a data URL. Raises MISSING_FIELD,
    or INVALID_VALUE where two of the fields are there.
    """
    given = [name for name in names if name in holder]
    if not given:
        missing(f"{path}.{names[0]}")
    name, *others = given
    if others:
        bad_value(f"{path}.{others[0]}", f"stands beside {name}; send one of the two")
    value = str(holder[name])
    if name == "file_id":
        value = f"file:{value}"
    elif ":" not in value:
        value = UNTYPED + value
    return value, f"{path}.{name}"
