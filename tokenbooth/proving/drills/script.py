"""Prompts that tell the scripted engine what to say, and how many tokens they are. Pure.

By that engine's own rule a word, a sign or a blank is one token, and there are 4 more for each
message and 3 for each turn.
"""

TURN_TOKENS = 4 + 3
BRACKET_TOKENS = 3
OPTION_TOKENS = 3


def script_prompt(**options: object) -> str:
    """Such as ``[script chunks=4 fault=hang]``; every value must be one word or number."""
    said = " ".join(f"{name}={value}" for name, value in options.items())
    return f"[script {said}]"


def script_tokens(options: int, more: int = 0) -> int:
    """Input tokens of a turn with a script of so many options and ``more`` tokens beside it."""
    return TURN_TOKENS + BRACKET_TOKENS + OPTION_TOKENS * options + more
