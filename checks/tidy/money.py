"""No binary or decimal fraction comes near money: integers in, integers out."""

import ast
from collections.abc import Iterator

from checks.source import Finding, Source, dotted, enclosing, imported_modules, under, words

MONEY_FILES = ("tokenbooth/money", "tokenbooth/core/money.py", "tokenbooth/core/receipt.py")
FRACTION_NAMES = frozenset({"float", "Decimal", "Fraction", "complex", "round"})
FRACTION_MODULES = frozenset({"decimal", "fractions", "math", "statistics"})
MONEY_WORDS = frozenset({"nano", "pico"})


def no_float_in_money(source: Source) -> Iterator[Finding]:
    if not under(source.path, *MONEY_FILES):
        return
    for node in source.nodes:
        said = _fraction(node)
        if said:
            line = getattr(node, "lineno", 1)
            subject = enclosing(source, line)
            yield Finding("money-float", source.path, line, subject, f"{said} in money code")


def _fraction(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=float() | complex() as value):
            return f"the fraction {value!r}"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "the division / (use divmod or //)"
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FRACTION_NAMES:
            return name
        case ast.Import() | ast.ImportFrom():
            roots = {module.split(".")[0] for module in imported_modules(node)}
            return next(iter(sorted(roots & FRACTION_MODULES)), "")
        case _:
            return ""


def no_division_of_amounts(source: Source) -> Iterator[Finding]:
    """Anywhere in the product, a name in nano or pico is neither divided nor made a float."""
    if not under(source.path, "tokenbooth"):
        return
    for node in source.nodes:
        touched: tuple[ast.expr, ...]
        match node:
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                touched = (left, right)
            case ast.Call(func=ast.Name(id="float" | "Decimal" | "round"), args=args):
                touched = tuple(args)
            case _:
                continue
        amounts = [name for operand in touched if _is_amount(name := dotted(operand))]
        if amounts:
            said = f"{amounts[0]} becomes a fraction"
            yield Finding("amount-float", source.path, node.lineno, amounts[0], said)


def _is_amount(name: str) -> bool:
    return not MONEY_WORDS.isdisjoint(words(name.rpartition(".")[2]))
