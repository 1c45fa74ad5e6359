"""Where imports may stand and what may be reached, beyond what the import contracts can say."""

import ast
from collections.abc import Iterator

from checks.source import Finding, Source, definitions, dotted, enclosing, imported_modules, under

DOMAINS = frozenset(
    {"access", "admission", "batch", "catalog", "content", "launch", "media", "money", "safety"}
    | {"skills", "tuning", "verify"}
)
DOMAIN_FILES = frozenset({"rules", "values", "sql", "refusals", "windows"})
PURE_FILES = frozenset({"rules", "values", "refusals", "sizing", "windows"})
PURE_ROOMS = ("tokenbooth/core", "tokenbooth/protocols", "tokenbooth/signing")
OPTIONAL_MODULES = frozenset(
    {"asyncpg", "greenlet", "openai", "openvino", "openvino_genai", "tokenizers", "xllamacpp"}
)
OPTIONAL_ROOMS = tuple(f"tokenbooth/{room}" for room in ("engines", "store", "proving"))
LAZY_ROOMS = ("tokenbooth/cli",)
CONFIG_FILES = ("tokenbooth/config.py", "tokenbooth/config")
ENVIRONMENT_READS = frozenset({"os.environ", "os.environb", "os.getenv", "os.putenv"})

# Import-linter sees an external package only as a whole; these two are pure in other parts.
IMPURE_PARTS = frozenset({"urllib.request", "http.client", "http.server"})


def impure_part(source: Source) -> Iterator[Finding]:
    """The parts of pure packages that reach the network, in files that must stay pure."""
    pure = source.path.endswith(("/rules.py", "/values.py"))
    if not (under(source.path, "tokenbooth") and pure) and not under(source.path, *PURE_ROOMS):
        return
    for node in source.nodes:
        for module in imported_modules(node):
            reached = {module, module.rpartition(".")[0]} & IMPURE_PARTS
            if reached:
                line = getattr(node, "lineno", 1)
                said = f"{module} reaches the network"
                yield Finding("impure-part", source.path, line, module, said)


def import_in_function(source: Source) -> Iterator[Finding]:
    """Only an optional dependency where it is used, and the loading of commands."""
    if not under(source.path, "tokenbooth", "checks") or under(source.path, *LAZY_ROOMS):
        return
    seen: set[ast.AST] = set()
    for named in definitions(source):
        for node in ast.walk(named.node):
            roots = {module.split(".")[0] for module in imported_modules(node)}
            if not roots or node in seen:
                continue
            seen.add(node)
            optional = under(source.path, *OPTIONAL_ROOMS) and roots <= OPTIONAL_MODULES
            if not optional:
                line = getattr(node, "lineno", 1)
                subject = enclosing(source, line)
                said = f"{subject} imports {', '.join(sorted(roots))} inside a function"
                yield Finding("import-in-function", source.path, line, subject, said)


def private_noun_file(source: Source) -> Iterator[Finding]:
    """From outside a noun (``money/ledger``) only its ``service`` may be imported.

    What the nouns of one domain share (``access/rules.py``) stays in that domain. Pure files of one
    domain may share pure words, because a service would draw its statements in with it.
    """
    if not under(source.path, "tokenbooth"):
        return
    own = source.module.split(".")
    for node in source.nodes:
        for module in imported_modules(node):
            private = _private_part(module.split("."), own)
            if private:
                said = f"{private} is private; import the service of its noun"
                line = getattr(node, "lineno", 1)
                yield Finding("private-noun", source.path, line, private, said)


def _private_part(parts: list[str], own: list[str]) -> str:
    """The dotted name that ``own`` may not reach, or ``""``."""
    if parts[:1] != ["tokenbooth"] or len(parts) < 4 or parts[1] not in DOMAINS:
        return ""
    shared = parts[2] in DOMAIN_FILES
    inside = own[:2] == parts[:2] if shared else own[:3] == parts[:3]
    pure = own[:2] == parts[:2] and own[-1] in PURE_FILES and parts[3] in PURE_FILES
    if inside or pure or (not shared and parts[3] == "service"):
        return ""
    return ".".join(parts[: 3 if shared else 4])


def service_names_its_surface(source: Source) -> Iterator[Finding]:
    """``service.py`` of a noun lists what callers may use in ``__all__``."""
    parts = source.module.split(".")
    if len(parts) != 4 or parts[1] not in DOMAINS or parts[3] != "service":
        return
    targets = (
        dotted(target)
        for node in source.tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    )
    if "__all__" not in targets:
        said = "a service names its surface in __all__"
        yield Finding("service-surface", source.path, 1, source.module, said)


def environment_read(source: Source) -> Iterator[Finding]:
    if not under(source.path, "tokenbooth") or under(source.path, *CONFIG_FILES):
        return
    for node in source.nodes:
        reads = {dotted(node), *imported_modules(node)} & ENVIRONMENT_READS
        if reads:
            line = getattr(node, "lineno", 1)
            said = f"{sorted(reads)[0]} is read in config.py only"
            yield Finding("environment", source.path, line, enclosing(source, line), said)
