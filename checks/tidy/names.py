"""One meaning for each word: names that say nothing, or that mean another thing here, are refused.

Only names that a file itself gives are looked at (definitions, parameters, assignments, fields);
names that a foreign interface dictates are listed with their owner.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.source import Finding, Source, under, words

EMPTY_WORDS = frozenset(
    {"manager", "managers", "helper", "helpers", "util", "utils", "common", "misc"}
    | {"data", "info", "process", "handle"}
)
# The public word of the command line is --data-dir.
PUBLIC_PAIR = ("data", "dir")
WORDS_OF_WEB = frozenset({"handle"})
SECRET_WORDS = re.compile(r"^(token|(api|access|auth|bearer|secret|session)_token)$")
CALLER_WORDS = frozenset({"user", "users", "user_id", "current_user", "end_user"})
TURN_WORDS = frozenset({"request", "req", "Request"})
TIME_WORDS = frozenset(
    {"timeout", "delay", "interval", "duration", "latency", "deadline", "elapsed"}
)

# Where an HTTP request is meant, and where other people's wire names are spelled.
HTTP_ROOMS = tuple(f"tokenbooth/{room}" for room in ("edge", "web", "engines", "proving", "cli"))
WIRE_ROOMS = ("tokenbooth/protocols", "tokenbooth/engines", "tokenbooth/proving")

FOREIGN_NAMES = {
    "data_received": "asyncio.Protocol calls it",
    "process_bind_param": "SQLAlchemy's TypeDecorator calls it",
    "process_literal_param": "SQLAlchemy's TypeDecorator calls it",
    "process_result_value": "SQLAlchemy's TypeDecorator calls it",
    "process_exited": "asyncio.SubprocessProtocol calls it",
    "_timer_handle_cancelled": "asyncio.TimerHandle calls it",
    "INFO": "the name of a log level",
}


def banned_names(source: Source) -> Iterator[Finding]:
    if under(source.path, "tests"):
        return
    stem = PurePosixPath(source.path).stem
    for name, line in (*given_names(source), (stem, 1)):
        if name in FOREIGN_NAMES:
            continue
        if empty := EMPTY_WORDS.intersection(_own_words(name)) - _allowed_words(source):
            said = f"{name}: {sorted(empty)[0]!r} says nothing; name what it is"
            yield Finding("names", source.path, line, name, said)


def _own_words(name: str) -> tuple[str, ...]:
    parts = words(name)
    first = next((i for i in range(len(parts)) if parts[i : i + 2] == PUBLIC_PAIR), len(parts))
    return parts[:first] + parts[first + 2 :]


def _allowed_words(source: Source) -> frozenset[str]:
    return WORDS_OF_WEB if under(source.path, "tokenbooth/web") else frozenset()


def mistaken_names(source: Source) -> Iterator[Finding]:
    """A word that means another thing in this repository."""
    if not under(source.path, "tokenbooth"):
        return
    wire = under(source.path, *WIRE_ROOMS)
    for name, line in given_names(source):
        said = ""
        if SECRET_WORDS.match(name):
            said = f"{name}: say output_tokens, or key_secret"
        elif name in CALLER_WORDS and not wire:
            said = f"{name}: say caller, member or end_customer"
        elif name in TURN_WORDS and not under(source.path, *HTTP_ROOMS):
            said = f"{name}: what a caller asks a model is a turn"
        elif words(name)[:1] in (("max",), ("min",)) and len(words(name)) > 1 and not wire:
            said = f"{name}: the bound comes last, as in body_bytes_max"
        if said:
            yield Finding("meanings", source.path, line, name, said)


def unit_last(source: Source) -> Iterator[Finding]:
    """A number of time names its unit: ``wait_ms``, ``deadline_us``, ``overlap_s``."""
    if not under(source.path, "tokenbooth"):
        return
    for node in source.nodes:
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                pass
            case _:
                continue
        if TIME_WORDS.intersection(words(name)[-1:]) and _is_number(annotation):
            said = f"{name}: the unit comes last, as in {name}_ms"
            yield Finding("units", source.path, node.lineno, name, said)


def _is_number(annotation: ast.expr) -> bool:
    return bool(re.search(r"\b(int|float)\b", ast.unparse(annotation)))


def given_names(source: Source) -> Iterator[tuple[str, int]]:
    """The names this file gives, with their lines."""
    for node in source.nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self")):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case _:
                pass
