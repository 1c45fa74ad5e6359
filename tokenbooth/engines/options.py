"""Reads an engine's options from the texts that a deployment row holds."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

T = TypeVar("T")


def options_from(kind: type[T], texts: Mapping[str, str], **given: object) -> T:
    """Build the options dataclass ``kind`` from ``given`` values and ``texts``.

    Texts are read as the field's type (``"5"``, ``"true"``, ``"null"``); a set is a comma-separated
    list. Raises Problem UNKNOWN_FIELD for a name that ``kind`` lacks or that ``given`` holds, and
    INVALID_VALUE for a value that its field refuses.
    """
    types = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = dict(given)
    for name, text in texts.items():
        if name not in types or name in given:
            raise Problem(Code.UNKNOWN_FIELD, f"The engine has no option {name!r}.", param=name)
        values[name] = text
        if "frozenset" in types[name]:
            values[name] = text.split(",") if text else []
    try:
        return msgspec.convert(values, type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(
            Code.INVALID_VALUE, f"An engine option is wrong: {error}.", param="options"
        ) from error
