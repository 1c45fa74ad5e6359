"""How long a file, a function and a class may be, and how many parameters a function may take."""

import ast
from collections.abc import Iterator

from checks.source import Finding, Named, Source, definitions, under

FILE_LINES = 400
FILE_LINES_HARD = 500
FUNCTION_LINES = 60
FUNCTION_LINES_HARD = 70
CLASS_LINES = 200
PARAMETERS = 6


def file_length(source: Source) -> Iterator[Finding]:
    """A test file may use the hard limit; any other needs an exemption between the two."""
    limit = FILE_LINES_HARD if under(source.path, "tests") else FILE_LINES
    if source.line_count > limit:
        said = f"{source.line_count} lines, the limit is {limit}; split by concept"
        yield Finding("file-length", source.path, 1, source.path, said)
    if source.line_count > FILE_LINES_HARD:
        said = f"{source.line_count} lines, over the hard limit of {FILE_LINES_HARD}"
        yield Finding("file-length-hard", source.path, 1, source.path, said)


def function_length(source: Source) -> Iterator[Finding]:
    limit = FUNCTION_LINES_HARD if under(source.path, "tests") else FUNCTION_LINES
    for named in functions(source):
        line, lines = named.node.lineno, named.line_count
        if lines > limit:
            said = f"{named.name} has {lines} lines, the limit is {limit}"
            yield Finding("function-length", source.path, line, named.name, said)
        if lines > FUNCTION_LINES_HARD:
            said = f"{named.name} has {lines} lines, over the hard limit of {FUNCTION_LINES_HARD}"
            yield Finding("function-length-hard", source.path, line, named.name, said)


def class_length(source: Source) -> Iterator[Finding]:
    for named in classes(source):
        if named.line_count > CLASS_LINES:
            said = f"{named.name} has {named.line_count} lines, the limit is {CLASS_LINES}"
            yield Finding("class-length", source.path, named.node.lineno, named.name, said)


def parameter_count(source: Source) -> Iterator[Finding]:
    if under(source.path, "tests"):
        return
    for named in functions(source):
        count = parameters(named)
        if count > PARAMETERS:
            said = f"{named.name} takes {count} parameters, the limit is {PARAMETERS}"
            yield Finding("parameters", source.path, named.node.lineno, named.name, said)


def functions(source: Source) -> Iterator[Named]:
    return (named for named in definitions(source) if not isinstance(named.node, ast.ClassDef))


def classes(source: Source) -> Iterator[Named]:
    return (named for named in definitions(source) if isinstance(named.node, ast.ClassDef))


def parameters(named: Named) -> int:
    """Named parameters; ``self`` and ``cls`` are not counted."""
    if isinstance(named.node, ast.ClassDef):
        return 0
    taken = named.node.args
    names = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))
