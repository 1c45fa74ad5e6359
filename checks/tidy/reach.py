"""Which rooms may start programs, and which may open connections to the outside.

Whatever a call says, the rooms that read it have no way to do either.
"""

import ast
from collections.abc import Iterator

from checks.source import Finding, Source, dotted, enclosing, imported_modules, under

STARTING_ROOMS = (
    "tokenbooth/engines/child",
    "tokenbooth/catalog/weights",
    "tokenbooth/bookkeeper",
    "tokenbooth/fleet",
    # A child that reads one hostile file, and is given nothing else.
    "tokenbooth/media/rendering",
)
# A child is reached over a socket pair that was made for it.
CONNECTING_ROOMS = (
    "tokenbooth/engines/upstream",
    "tokenbooth/engines/child",
    "tokenbooth/bookkeeper",
    # The control process, over Unix sockets in a directory of its own.
    "tokenbooth/fleet",
    # Where a caller's URL leads, and nowhere inside: every address is checked there.
    "tokenbooth/media/fetch",
)
# Run by a person at a terminal, never by a call.
PEOPLE_ROOMS = ("tokenbooth/cli", "tokenbooth/proving")

STARTING_MODULES = frozenset({"subprocess", "multiprocessing", "pty"})
STARTING_CALLS = frozenset(
    {"create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell"}
    | {"os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp"}
)
STARTING_PREFIXES = ("os.exec", "os.spawn")
CONNECTING_MODULES = frozenset(
    {"urllib.request", "http.client", "ftplib", "smtplib", "httpx", "requests", "aiohttp"}
)
CONNECTING_CALLS = frozenset(
    {"create_connection", "open_connection", "open_unix_connection", "create_unix_connection"}
    | {"sock_connect", "urlopen"}
)


def program_start(source: Source) -> Iterator[Finding]:
    if not under(source.path, "tokenbooth") or under(source.path, *STARTING_ROOMS, *PEOPLE_ROOMS):
        return
    for node in source.nodes:
        name = _called(node)
        starts = (
            name in STARTING_CALLS
            or name.rpartition(".")[2] in STARTING_CALLS
            or name.startswith(STARTING_PREFIXES)
        )
        reached = _reached(node) & STARTING_MODULES
        if starts or reached:
            yield _finding("program-start", source, node, "may not start programs")


def connection(source: Source) -> Iterator[Finding]:
    if not under(source.path, "tokenbooth"):
        return
    if under(source.path, *CONNECTING_ROOMS, *PEOPLE_ROOMS):
        return
    for node in source.nodes:
        opens = _called(node).rpartition(".")[2] in CONNECTING_CALLS
        if opens or _reached(node) & CONNECTING_MODULES:
            yield _finding("connection", source, node, "may not open connections")


def _called(node: ast.AST) -> str:
    """The dotted name that is called; of ``f().connect()`` only ``connect``."""
    if not isinstance(node, ast.Call):
        return ""
    return dotted(node.func) or getattr(node.func, "attr", "")


def _reached(node: ast.AST) -> frozenset[str]:
    modules = imported_modules(node)
    return frozenset(
        part
        for module in modules
        for part in (module, module.rpartition(".")[0], module.split(".")[0])
    )


def _finding(rule: str, source: Source, node: ast.AST, said: str) -> Finding:
    line = getattr(node, "lineno", 1)
    room = "/".join(source.path.split("/")[:2])
    return Finding(rule, source.path, line, enclosing(source, line), f"{room} {said}")
