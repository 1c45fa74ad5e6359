"""A schema's grammar alone, as an engine gets it for an answer of that form."""

from tokenbooth.engines.grammar.leaves import LEAVES
from tokenbooth.engines.grammar.schema import rules_of


def grammar_of(schema_json: str) -> str:
    """Raises Problem as for a strict schema."""
    name, rules = rules_of(schema_json, "r")
    return "\n".join((f"root ::= {name}", *rules)) + LEAVES
