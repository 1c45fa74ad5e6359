"""The content blocks of Messages: their shapes, open to kinds that are not known here."""

from collections.abc import Mapping

from tokenbooth.protocols.media import BASE64, FILE_ID, WEB_URL
from tokenbooth.protocols.open_shape import Anything, Open
from tokenbooth.protocols.shape import (
    Either,
    Field,
    Flag,
    FreeObject,
    Listed,
    Record,
    Shape,
    Text,
    tagged,
)

BLOCKS_MAX = 4096
ID_CHARS_MAX = 256
NAME_CHARS_MAX = 256
INPUT_BYTES_MAX = 16 * 1024 * 1024
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
VIDEO_TYPES = ("video/mp4", "video/webm", "video/quicktime")

CACHE_CONTROL = {"cache_control": Field(Anything())}


def open_tagged(
    cases: Mapping[str, Mapping[str, Field]],
    refused: Mapping[str, str] | None = None,
    default: str | None = None,
) -> Open:
    """Records by their ``type``, each of which may carry ``cache_control``."""
    made = tagged(
        "type", {name: Record({**inner, **CACHE_CONTROL}) for name, inner in cases.items()}
    )
    return Open("type", made.cases, refused or {}, default)


def text_or(blocks: Shape, *, low: int = 0) -> Either:
    """A string, or a list of blocks."""
    return Either(Text(), Listed(blocks, low, BLOCKS_MAX))


_TEXT: Mapping[str, Field] = {
    "text": Field(Text(), required=True),
    "citations": Field(Anything()),
}


def _sources(*types: str) -> Mapping[str, Record]:
    """Where the bytes of a block may stand."""
    return {
        "base64": Record(
            {
                "media_type": Field(Text(choices=types), required=True),
                "data": Field(Text(pattern=BASE64), required=True),
            }
        ),
        "url": Record({"url": Field(Text(pattern=WEB_URL), required=True)}),
        "file": Record({"file_id": Field(Text(pattern=FILE_ID), required=True)}),
    }


_IMAGE: Mapping[str, Field] = {
    "source": Field(tagged("type", _sources(*IMAGE_TYPES)), required=True),
    "transformations": Field(Anything()),
}
_VIDEO: Mapping[str, Field] = {
    "source": Field(tagged("type", _sources(*VIDEO_TYPES)), required=True),
}
_DOCUMENT: Mapping[str, Field] = {
    "source": Field(
        tagged(
            "type",
            {
                **_sources("application/pdf"),
                "text": Record(
                    {
                        "media_type": Field(Text(choices=("text/plain",)), required=True),
                        "data": Field(Text(), required=True),
                    }
                ),
                "content": Record(
                    {"content": Field(text_or(open_tagged({"text": _TEXT})), required=True)}
                ),
            },
        ),
        required=True,
    ),
    "title": Field(Text()),
    "context": Field(Text()),
    "citations": Field(Anything()),
}
_SEARCH_RESULT: Mapping[str, Field] = {
    "source": Field(Text(), required=True),
    "title": Field(Text(), required=True),
    "content": Field(Listed(open_tagged({"text": _TEXT}), 0, BLOCKS_MAX), required=True),
    "citations": Field(Anything()),
}
_SHOWN: Mapping[str, Mapping[str, Field]] = {
    "text": _TEXT,
    "image": _IMAGE,
    "video": _VIDEO,
    "document": _DOCUMENT,
    "search_result": _SEARCH_RESULT,
}
_TOOL_RESULT: Mapping[str, Field] = {
    "tool_use_id": Field(Text(low=1, high=ID_CHARS_MAX), required=True),
    "content": Field(text_or(open_tagged(_SHOWN))),
    "is_error": Field(Flag()),
}
_TOOL_USE: Mapping[str, Field] = {
    "id": Field(Text(low=1, high=ID_CHARS_MAX), required=True),
    "name": Field(Text(low=1, high=NAME_CHARS_MAX), required=True),
    "input": Field(FreeObject(INPUT_BYTES_MAX), required=True),
    "caller": Field(Anything()),
}
_THOUGHTS: Mapping[str, Mapping[str, Field]] = {
    "thinking": {"thinking": Field(Text(), required=True), "signature": Field(Text())},
    "redacted_thinking": {"data": Field(Text())},
}
_NOT_HERE = "such a block does not belong into a message of this role"

SYSTEM: Shape = text_or(open_tagged({"text": _TEXT}))
USER: Shape = text_or(
    open_tagged(
        {**_SHOWN, "tool_result": _TOOL_RESULT},
        dict.fromkeys(("tool_use", *_THOUGHTS), _NOT_HERE),
    )
)
ASSISTANT: Shape = text_or(
    open_tagged(
        {"text": _TEXT, "tool_use": _TOOL_USE, **_THOUGHTS},
        dict.fromkeys((*_SHOWN.keys() - {"text"}, "tool_result"), _NOT_HERE),
    )
)
