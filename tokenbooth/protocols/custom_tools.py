"""Custom tools, which take a text, as functions with one string: engines know nothing else."""

import json

from tokenbooth.core.turn import Tool

CUSTOM_INPUT = "input"
CUSTOM_PARAMETERS = json.dumps(
    {
        "type": "object",
        "properties": {CUSTOM_INPUT: {"type": "string"}},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    },
    separators=(",", ":"),
)
TRANSLATED = "translated to a function with one string"
NOT_ENFORCED = "told to the model and not enforced"


def custom_tool(name: str, description: str, grammar: tuple[str, str] | None) -> Tool:
    """``grammar`` is the syntax and the definition that inputs must follow."""
    if grammar is not None:
        syntax, definition = grammar
        told = f"The input must follow this {syntax} grammar:\n{definition}"
        description = f"{description}\n\n{told}".lstrip()
    return Tool(name, description, CUSTOM_PARAMETERS)


def custom_arguments(text: str) -> str:
    """The input of a custom tool as the arguments of the function that stands for it."""
    return json.dumps({CUSTOM_INPUT: text}, ensure_ascii=False, separators=(",", ":"))


def custom_input(arguments: str) -> str:
    """What a custom tool is called with; arguments that are not of the form asked for, or were cut
    short, are given as they are."""
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    text = found.get(CUSTOM_INPUT) if isinstance(found, dict) else None
    return text if isinstance(text, str) else arguments
