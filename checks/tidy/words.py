"""Words that do not belong into the files of a product: unfinished work, and places of its making.

The patterns are written with a bracket inside each word, so that this file does not find itself.
"""

import ast
import re
from collections.abc import Iterator

from checks.source import Finding, Source, dotted, enclosing

UNFINISHED = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
PLACES = re.compile(
    r"(?<![\w./-])(/h[o]me/|/r[o]ot/|/w[o]rk/|/U[s]ers/|/o[p]t/|C:\\\\Us[e]rs)"
    r"|p[y]pi\.org|p[y]thonhosted\.org|r[e]gistry\.npmjs\.org|--(extra-)?i[n]dex-url\b"
)
WORK_WORDS = re.compile(
    r"\b(i[s]sue #?\d+|s[u]b-?agents?|h[e]lper agents?|(this|next|last) s[e]ssion|s[e]ssion \d+)\b",
    re.IGNORECASE,
)
SECRETS = re.compile(
    r"\b(s[k]-[A-Za-z0-9_-]{32,}|A[K]IA[0-9A-Z]{16}|g[h]p_[A-Za-z0-9]{36})"
    r"|-----BEGIN [A-Z ]*PR[I]VATE"
)
PLACE_WORDS_ALLOWED = {
    "--no-emit-index-url": "the option that keeps index addresses out of the lock files",
}


def words_of_the_workshop(path: str, text: str) -> Iterator[Finding]:
    """Unfinished work, machine paths, registry addresses, words about how work is organised."""
    for allowed in PLACE_WORDS_ALLOWED:
        text = text.replace(allowed, "")
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, said in (
            (UNFINISHED, "marks unfinished work"),
            (PLACES, "is a place of one machine or one registry"),
            (WORK_WORDS, "tells how the work is organised"),
            (SECRETS, "looks like a secret"),
        ):
            for hit in pattern.finditer(line):
                yield Finding("words", path, number, hit[0], f"{hit[0]!r} {said}")


def unfinished_code(source: Source) -> Iterator[Finding]:
    """Code that is not there yet, and tests that do not run."""
    for node in source.nodes:
        name = dotted(node).rpartition(".")[2] if isinstance(node, ast.Name | ast.Attribute) else ""
        marks = re.search(
            r"(^|\.)mark\.(skip|skipif|xfail)$|^pytest\.(skip|xfail|importorskip)$", dotted(node)
        )
        if name == "NotImplementedError" or marks:
            line = getattr(node, "lineno", 1)
            said = f"{dotted(node)}: finish it, or leave it out"
            yield Finding("unfinished", source.path, line, enclosing(source, line), said)
