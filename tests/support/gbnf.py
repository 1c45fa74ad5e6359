"""Reads the GBNF that we write, and says things in it: a second opinion on what it allows.

Enough of the language for our own grammars: rules, alternatives, groups, texts, character classes,
``*``, ``+``, ``?``, ``{m}``, ``{m,}`` and ``{m,n}``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

# Picks a whole number from 0 to its argument.
Pick = Callable[[int], int]
MORE_MAX = 3
DEEP = 24
_SPACE = re.compile(r"[ \t]*")
_NAME = re.compile(r"[a-z0-9]+")
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


@dataclass
class Node:
    """``kind`` is text, class, name, all (a sequence), any (alternatives) or times."""

    kind: str
    text: str = ""
    parts: list["Node"] = field(default_factory=list)
    least: int = 1
    most: int | None = 1


class Grammar:
    def __init__(self, source: str) -> None:
        self.rules: dict[str, Node] = {}
        for line in source.splitlines():
            if line.strip():
                name, body = line.split(" ::= ", 1)
                assert name not in self.rules, f"{name} is written twice"
                self.rules[name] = _Parser(body).whole()
        for rule in self.rules.values():
            self._known(rule)

    def _known(self, node: Node) -> None:
        if node.kind == "name":
            assert node.text in self.rules, f"{node.text} is not written"
        for part in node.parts:
            self._known(part)

    def say(self, pick: Pick, depth_max: int = DEEP) -> str | None:
        """One text of the language, ``None`` when it would become too deep."""
        try:
            return self._say(self.rules["root"], pick, depth_max)
        except RecursionError:
            return None

    def _say(self, node: Node, pick: Pick, left: int) -> str:
        if left < 0:
            raise RecursionError
        if node.kind == "text":
            return node.text
        if node.kind == "class":
            return node.text[pick(len(node.text) - 1)]
        if node.kind == "name":
            return self._say(self.rules[node.text], pick, left - 1)
        if node.kind == "any":
            return self._say(node.parts[pick(len(node.parts) - 1)], pick, left)
        if node.kind == "all":
            return "".join(self._say(part, pick, left) for part in node.parts)
        most = node.least + MORE_MAX if node.most is None else min(node.most, node.least + MORE_MAX)
        count = node.least + pick(most - node.least)
        return "".join(self._say(node.parts[0], pick, left) for _ in range(count))


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def whole(self) -> Node:
        node = self.alternatives()
        assert self.at == len(self.source), f"left over: {self.source[self.at :]!r}"
        return node

    def blank(self) -> str:
        found = _SPACE.match(self.source, self.at)
        assert found is not None
        self.at = found.end()
        return self.source[self.at : self.at + 1]

    def alternatives(self) -> Node:
        parts = [self.sequence()]
        while self.blank() == "|":
            self.at += 1
            parts.append(self.sequence())
        return Node("any", parts=parts)

    def sequence(self) -> Node:
        parts = []
        while self.blank() not in ("", "|", ")"):
            parts.append(self.repeated(self.one()))
        assert parts, "an empty alternative"
        return Node("all", parts=parts)

    def repeated(self, node: Node) -> Node:
        sign = self.source[self.at : self.at + 1]
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if sign in simple:
            self.at += 1
            least, most = simple[sign]
            return Node("times", parts=[node], least=least, most=most)
        counted = _COUNT.match(self.source, self.at)
        if counted is None:
            return node
        self.at = counted.end()
        least = int(counted[1])
        most = least if not counted[2] else int(counted[3]) if counted[3] else None
        assert most is None or least <= most
        return Node("times", parts=[node], least=least, most=most)

    def one(self) -> Node:
        sign = self.source[self.at]
        if sign == '"':
            return self.text()
        if sign == "[":
            return self.character_class()
        if sign == "(":
            self.at += 1
            node = self.alternatives()
            assert self.source[self.at] == ")"
            self.at += 1
            return node
        name = _NAME.match(self.source, self.at)
        assert name is not None, f"what is {self.source[self.at :]!r}?"
        self.at = name.end()
        return Node("name", name[0])

    def character(self) -> str:
        sign = self.source[self.at]
        self.at += 1
        if sign != "\\":
            return sign
        escape = self.source[self.at]
        self.at += 1
        if escape == "x":
            self.at += 2
            return chr(int(self.source[self.at - 2 : self.at], 16))
        assert escape in '"\\n', f"unknown escape {escape!r}"
        return "\n" if escape == "n" else escape

    def text(self) -> Node:
        self.at += 1
        found = ""
        while self.source[self.at] != '"':
            found += self.character()
        self.at += 1
        return Node("text", found)

    def character_class(self) -> Node:
        self.at += 1
        negated = self.source[self.at] == "^"
        self.at += negated
        members: set[str] = set()
        while self.source[self.at] != "]":
            first = last = self.character()
            if self.source[self.at] == "-" and self.source[self.at + 1] != "]":
                self.at += 1
                last = self.character()
            members |= {chr(code) for code in range(ord(first), ord(last) + 1)}
        self.at += 1
        if negated:
            members = {chr(code) for code in (*range(128), 0xE9, 0x65E5, 0x1F642)} - members
        return Node("class", "".join(sorted(members)))
