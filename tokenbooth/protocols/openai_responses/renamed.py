"""The names of this dialect for the fields that a call can be refused for on its later steps.

Those steps name a field as Chat Completions does.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.problem import Problem

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "messages": "input",
        "max_completion_tokens": "max_output_tokens",
        "response_format": "text.format",
    }
)


def renamed(problem: Problem) -> Problem:
    """The same problem with the name that the caller used."""
    return problem.named(_NAMES.get(problem.param or "", problem.param))
