"""The grammar of a whole answer: thinking, then text or JSON, then calls of tools.

A call looks as the most common chat templates teach it: a line ``<tool_call>``, an object of
``name`` and ``arguments``, and a line ``</tool_call>``.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import FormatKind, OutputFormat, Tool, ToolMode, Turn
from tokenbooth.engines.grammar.leaves import LEAVES
from tokenbooth.engines.grammar.schema import ANY_OBJECT, Budget, object_rules_of, rules_of

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"
THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
# A small model that may call again often does so without end.
CALLS_MAX = 8
# What the schemas of one turn, and their grammar, may weigh in all; tools after that may be called
# with any object.
SCHEMAS_CHARACTERS_MAX = 400_000
SCHEMAS_NODES_MAX = 6_000
RULES_CHARACTERS_MAX = 100_000
# Text without a call. A class that is repeated by itself is what engines check fastest: written as
# ``(class | lt)*`` one engine took four times as long for each token.
_FREE = "[^<]* (lt [^<]*)*"


class Thinking(Enum):
    """Whether an answer begins with thoughts: never, if the model opens them, or always since the
    prompt has opened them."""

    NONE = "none"
    MAY = "may"
    OPENED = "opened"


@dataclass(frozen=True, slots=True)
class AnswerGrammar:
    """``text`` is ``None`` where nothing needs one; ``unenforced`` are keywords of schemas by what
    asked for them, ``tools`` or ``format``."""

    text: str | None
    unenforced: tuple[tuple[str, tuple[str, ...]], ...] = ()


def answer_grammar(turn: Turn, thinking: Thinking = Thinking.NONE) -> AnswerGrammar:
    """Raises Problem INVALID_VALUE or UNSUPPORTED_FEATURE for a strict schema of the answer that
    cannot be kept; a tool's schema is never refused."""
    form = turn.output_format
    told_form: set[str] = set()
    told_tools: set[str] = set()
    if form.kind is FormatKind.TEXT and not turn.tools:
        return AnswerGrammar(None)
    content, rules = _content(form, told_form)
    mode = turn.tool_choice.mode
    root = content
    if turn.tools and mode is not ToolMode.NONE:
        rules += _calls(_callable(turn), told_tools, many=_many(turn))
        if mode in (ToolMode.REQUIRED, ToolMode.NAMED):
            root = "calls"
        else:
            root = f"{_FREE} (tail | calls)?" if content == "free" else f"{content} | calls"
    rules = [*_thoughts(root, thinking), *rules]
    unenforced = (("tools", tuple(sorted(told_tools))), ("format", tuple(sorted(told_form))))
    kept = tuple((what, words) for what, words in unenforced if words)
    # Rules of several schemas may be the same ones.
    return AnswerGrammar("\n".join(dict.fromkeys(rules)) + LEAVES, kept)


def _content(form: OutputFormat, told: set[str]) -> tuple[str, list[str]]:
    """The rule for an answer that calls nothing, and what it needs."""
    if form.kind is FormatKind.TEXT:
        return "free", [f"free ::= {_FREE} tail?", *_marker(CALL_OPEN)]
    schema = ANY_OBJECT if form.kind is FormatKind.JSON_OBJECT else form.schema_json or ANY_OBJECT
    name, rules = rules_of(schema, "r", None if form.strict else told)
    return name, list(rules)


def _marker(marker: str) -> list[str]:
    """``lt``: a first character of ``marker`` that does not begin one, with what proves it;
    ``tail``: how far one may have begun where a text ends. That character stands in a marker only
    once."""
    first, rest = marker[0], marker[1:]
    goes_on = ""
    for sign in reversed(rest):
        other = f"[^{first}{sign}]"
        goes_on = f'{other} | "{sign}" ({goes_on})' if goes_on else other
    tails = " | ".join(f'"{marker[:length]}"' for length in range(len(marker) - 1, 0, -1))
    return [f'lt ::= "{first}"+ ({goes_on})', f"tail ::= {tails}"]


def _callable(turn: Turn) -> tuple[Tool, ...]:
    if turn.tool_choice.mode is ToolMode.NAMED:
        return tuple(tool for tool in turn.tools if tool.name == turn.tool_choice.name)
    return turn.tools


def _many(turn: Turn) -> bool:
    return turn.parallel_tool_calls is not False and turn.tool_choice.mode is not ToolMode.NAMED


def _calls(tools: Sequence[Tool], told: set[str], *, many: bool) -> list[str]:
    rules: list[str] = []
    ways = []
    read = written = 0
    budget = Budget(SCHEMAS_NODES_MAX)
    for place, tool in enumerate(tools):
        name, own = "anyobject", tuple[str, ...]()
        read += len(tool.schema_json)
        if read > SCHEMAS_CHARACTERS_MAX or written > RULES_CHARACTERS_MAX:
            told.add("schemas over the size limit")
        else:
            schema = tool.schema_json or ANY_OBJECT
            name, own = object_rules_of(schema, f"t{place}r", told, budget)
        written += sum(map(len, own))
        rules += own
        # A name is ASCII without quotes in every dialect; escaped all the same.
        rest = json.dumps(tool.name)[1:] + ', "arguments": '
        ways.append(f"{_literal(rest)} {name}")
    opening, closing = _literal(CALL_OPEN + '\n{"name": "'), _literal("}\n" + CALL_CLOSE)
    rules.append(f"call ::= {opening} ({' | '.join(ways)}) {closing}")
    more = f' ("\\n" call){{0,{CALLS_MAX - 1}}}' if many else ""
    return [*rules, f"calls ::= call{more}"]


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _thoughts(root: str, thinking: Thinking) -> list[str]:
    if thinking is Thinking.NONE:
        return [f"root ::= {root}"]
    inside = f'[^<]* (thought [^<]*)* "{THINK_CLOSE}" "\\n"{{0,2}}'
    thought = 'thought ::= "<"+ [^/<]'
    if thinking is Thinking.OPENED:
        return [f"root ::= {inside} ({root})", thought]
    return [f'root ::= ("{THINK_OPEN}" {inside})? ({root})', thought]


def unenforced(turn: Turn) -> Iterable[tuple[str, tuple[str, ...]]]:
    """What the grammar of ``turn`` would not enforce; nothing where it has none.

    A schema that is refused is told of when the turn is run.
    """
    try:
        return answer_grammar(turn).unenforced
    except Problem:
        return ()
