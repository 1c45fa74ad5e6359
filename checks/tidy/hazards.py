"""Constructs that hide faults: swallowed errors, shared state, unbounded memory, built SQL."""

import ast
from collections.abc import Iterator

from checks.source import Finding, Source, definitions, dotted, enclosing, under

BROAD_NAMES = frozenset({"Exception", "BaseException"})
CONTAINER_CALLS = frozenset({"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter"})
MUTATORS = frozenset(
    {"append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop", "popleft"}
    | {"popitem", "remove", "discard", "clear", "sort", "reverse"}
)
UNBOUNDED_QUEUES = frozenset(
    {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "JoinableQueue"}
)
SQL_TEXT_CALLS = frozenset(
    {"text", "literal_column", "exec_driver_sql", "execute", "executescript"}
)
PRINTING_ROOMS = ("tokenbooth/cli", "tokenbooth/proving")


def broad_except(source: Source) -> Iterator[Finding]:
    """A handler that ends by raising the same error again swallows nothing and is allowed."""
    if under(source.path, "tests"):
        return
    for node in source.nodes:
        match node:
            case ast.ExceptHandler(type=caught, body=body) if _is_broad(caught):
                last = body[-1]
                if isinstance(last, ast.Raise) and last.exc is None:
                    continue
            case ast.Call(func=called, args=args) if dotted(called).rpartition(".")[
                2
            ] == "suppress" and any(map(_is_broad, args)):
                pass
            case _:
                continue
        subject = enclosing(source, node.lineno)
        said = f"{subject} catches everything; name the errors"
        yield Finding("broad-except", source.path, node.lineno, subject, said)


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    return caught is None or dotted(caught).rpartition(".")[2] in BROAD_NAMES


def global_state(source: Source) -> Iterator[Finding]:
    """No ``global``, no module-level container that a function changes, no hidden cache."""
    if under(source.path, "tests"):
        return
    containers = _module_containers(source)
    for named in definitions(source):
        if isinstance(named.node, ast.ClassDef):
            continue
        local = _bound_names(named.node)
        for node in _own_nodes(named.node):
            name = _changed_name(node)
            if isinstance(node, ast.Global):
                said = f"{named.name} rebinds {node.names[0]}; pass it as an argument"
                yield Finding("global-state", source.path, node.lineno, named.name, said)
            elif name in containers and name not in local:
                said = f"{named.name} changes the module's {name}; give it an owner"
                line = getattr(node, "lineno", named.node.lineno)
                yield Finding("global-state", source.path, line, named.name, said)


def hidden_cache(source: Source) -> Iterator[Finding]:
    """A cache decorator is global memory without an owner, and unbounded by default."""
    if not under(source.path, "tokenbooth"):
        return
    for named in definitions(source):
        for decorator in named.node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if dotted(called).rpartition(".")[2] in {"cache", "lru_cache"}:
                said = f"{named.name} keeps a hidden cache; give the memory an owner and a bound"
                yield Finding("hidden-cache", source.path, named.node.lineno, named.name, said)


def _module_containers(source: Source) -> frozenset[str]:
    names = set()
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        called = value.func if isinstance(value, ast.Call) else value
        display = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
        if isinstance(value, display) or dotted(called).rpartition(".")[2] in CONTAINER_CALLS:
            names.add(name)
    return frozenset(names)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield child
            yield from _own_nodes(child)


def _bound_names(function: ast.AST) -> frozenset[str]:
    stored = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return frozenset(
        stored | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    )


def _changed_name(node: ast.AST) -> str:
    """The plain name whose content this node changes, or ``""``."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=verb)) if verb in MUTATORS:
            return name
        case _:
            return ""


def unbounded_queue(source: Source) -> Iterator[Finding]:
    if not under(source.path, "tokenbooth"):
        return
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func).rpartition(".")[2]
        sized = node.args or any(keyword.arg == "maxsize" for keyword in node.keywords)
        if name in UNBOUNDED_QUEUES and (name == "SimpleQueue" or not sized):
            subject = enclosing(source, node.lineno)
            said = f"{subject} makes a {name} without a bound"
            yield Finding("unbounded-queue", source.path, node.lineno, subject, said)


def built_sql(source: Source) -> Iterator[Finding]:
    """SQL text is a constant; values travel as bound parameters."""
    if not under(source.path, "tokenbooth"):
        return
    for node in source.nodes:
        if not (isinstance(node, ast.Call) and node.args):
            continue
        name = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
        if name in SQL_TEXT_CALLS and _is_built(node.args[0]):
            subject = enclosing(source, node.lineno)
            said = f"{subject} builds SQL text for {name}(); bind the values"
            yield Finding("built-sql", source.path, node.lineno, subject, said)


def _is_built(argument: ast.expr) -> bool:
    match argument:
        case ast.JoinedStr(values=values):
            return not all(map(_is_fixed, values))
        case ast.BinOp(op=ast.Mod() | ast.Add(), left=left, right=right):
            return _is_text(left) or _is_text(right)
        case ast.Call(func=ast.Attribute(attr="format" | "join", value=value)):
            return _is_text(value)
        case _:
            return False


def _is_fixed(part: ast.expr) -> bool:
    """Literal text, or a constant of the program, named in capitals."""
    match part:
        case ast.FormattedValue(value=ast.Name(id=name)):
            return name.isupper()
        case _:
            return isinstance(part, ast.Constant)


def _is_text(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        or _is_built(node)
    )


def printed(source: Source) -> Iterator[Finding]:
    if not under(source.path, "tokenbooth") or under(source.path, *PRINTING_ROOMS):
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and dotted(node.func) in {"print", "pprint.pprint"}:
            subject = enclosing(source, node.lineno)
            said = f"{subject} prints; the log and the command line speak to people"
            yield Finding("print", source.path, node.lineno, subject, said)
